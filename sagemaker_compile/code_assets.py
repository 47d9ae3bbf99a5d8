"""Turn the uploads of the SDK into assets that are named by their content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from sagemaker_compile.archives import is_ignored, normalized
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, NAME_PREFIX, found_stand_ins
from sagemaker_pipelines.definition import iter_steps
from sagemaker_pipelines.definition.document import objects, own_part, value_at
from sagemaker_pipelines.definition.envelope import Asset

_URI = re.compile(r"s3://[^\s\"'\\,;]+")

#: What a job writes: an upload is never there, but a folder of outputs may hold one.
_OUTPUTS = re.compile(r"Output|Checkpoint")

#: The settings file of ModelTrainer, and where its job finds the code.
_SOURCE_CODE = "sourcecode.json"
_CODE_PATH = "/opt/ml/input/data/code"

#: The hyperparameters of the job that adds code to a model archive, and where it finds the code.
_REPACK = frozenset({"inference_script", "model_archive", "source_dir"})
_SCRIPT_PATH = "/opt/ml/code"

#: The inputs and channels through which the SDK passes code to a job, and its other ways.
_CODE_INPUTS = ("code", "entrypoint", "aux", "sm_drivers")
_CODE_VARIABLES = frozenset({"sagemaker_submit_directory", "SAGEMAKER_SUBMIT_DIRECTORY"})


class CodeAssets:
    """The assets of one definition.

    :param files: the content of each uploaded file, by its S3 URI.
    :param folders: the S3 URIs of uploaded folders.
    """

    def __init__(self, files: Mapping[str, bytes], folders: Iterable[str]) -> None:
        self._files = files
        self._folders = frozenset(folders)
        self._parents = frozenset(uri.rpartition("/")[0] for uri in files)
        self._uris = _uris_of({*files, *self._folders, *self._parents})
        self._final: dict[str, str] = {}
        self.assets: set[Asset] = set()
        #: The content of each asset, by its path in the definitions' folder.
        self.contents: dict[str, bytes] = {}

    def replaced(self, value: Any, key: str = "") -> Any:
        """Return a part of the definition that names assets instead of uploads; the assets are collected.

        :param value: the definition as parsed JSON, or a part of it.
        :param key: the name of this part.
        :raise CompileError: if an upload cannot be an asset.
        """
        if isinstance(value, dict):
            return {
                name: item if _OUTPUTS.search(name) else self.replaced(item, name)
                for name, item in _portable_settings(value).items()
            }
        if isinstance(value, list):
            return [self.replaced(item, key) for item in value]
        if isinstance(value, str):
            return self._uris.sub(lambda match: self._asset_uri(match[0], is_prefix=key == "S3Uri"), value)
        return value

    def check_code(self, definition: Mapping[str, Any], external: Iterable[str]) -> None:
        """Refuse code in S3 that is not an asset: nothing says that it will be there.

        :param definition: the definition that :meth:`replaced` has returned.
        :param external: S3 URIs of code that others deploy.
        :raise CompileError: the message names the step and the URI.
        """
        known = {uri.rstrip("/") for uri in [*self._final.values(), *external]}
        for step in iter_steps(definition):
            for uri in _code_uris(own_part(step)):
                if uri.rstrip("/") not in known:
                    raise CompileError(
                        f"Step {step['Name']} runs code from {uri}, which is not an asset of this pipeline. "
                        "Give the SDK the local path of the code; or, if others deploy it, name this URI in "
                        "EXTERNAL_CODE of the pipeline's module."
                    )

    def _asset_uri(self, uri: str, *, is_prefix: bool) -> str:
        if uri not in self._final:
            folder = uri.rstrip("/")
            if uri in self._files:
                self._final[uri] = self._file(uri)
            elif folder in self._folders or (is_prefix and folder in self._parents):
                self._final[uri] = self._folder(folder) + uri[len(folder) :]
            else:
                return uri
        return self._final[uri]

    def _file(self, uri: str) -> str:
        name = PurePosixPath(uri).name
        return self._uri(self.add(name, _portable(name, self._files[uri])))

    def _folder(self, uri: str) -> str:
        members = {
            path: _portable(path, content)
            for file, content in sorted(self._files.items())
            if file.startswith(f"{uri}/") and not is_ignored(path := file[len(uri) + 1 :])
        }
        if not members:
            raise CompileError(f"The uploaded folder {uri} holds no file to keep: add one, or leave it out.")
        digests = "".join(f"{_sha256(content)}  {path}\n" for path, content in members.items())
        folder = _sha256(digests.encode())
        for path, content in members.items():
            self.add(path, content, folder)
        return f"s3://{ARTIFACT_BUCKET}/{NAME_PREFIX}assets/{folder}"

    def add(self, name: str, content: bytes, folder: str = "") -> Asset:
        """Collect one asset, and return it.

        :param name: its file name, or its path in the folder that it belongs to.
        :param content: its content, as every machine has it.
        :param folder: the hash of the folder; empty if the file is an asset of its own.
        :raise CompileError: if its content depends on where the pipeline is deployed.
        """
        if stand_ins := found_stand_ins(content):
            raise CompileError(
                f"The uploaded file {name} contains {', '.join(stand_ins)}, whose value is known only where "
                "the pipeline is deployed, and files are not changed then. Pass it as an argument, an "
                "environment variable or a parameter of the step instead."
            )
        digest = _sha256(content)
        asset = Asset(name, f"assets/{digest}/{PurePosixPath(name).name}", digest, folder)
        self.assets.add(asset)
        self.contents[asset.path] = content
        return asset

    @staticmethod
    def _uri(asset: Asset) -> str:
        return f"s3://{ARTIFACT_BUCKET}/{asset.key(NAME_PREFIX)}"


def _uris_of(uploads: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern of URIs in a text; those of uploads may have characters that usually end one."""
    unusual = sorted((uri for uri in uploads if not _URI.fullmatch(uri)), key=len, reverse=True)
    # A space may belong to the URI or follow it, so the whole of an upload's URI has to be there.
    known = [rf"{re.escape(uri)}(?=/?(?:[\s\"'\\,;]|\Z))" for uri in unusual]
    return re.compile("|".join([*known, _URI.pattern]))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _portable(path: str, content: bytes) -> bytes:
    """Return the content as every machine has it."""
    if path != _SOURCE_CODE:
        return normalized(path, content)
    # ModelTrainer writes the folder of this machine into it (sagemaker 3.27.0); no job reads it.
    settings = json.loads(content)
    return json.dumps({**settings, "source_dir": settings.get("source_dir") and _CODE_PATH}).encode()


def _portable_settings(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what depends on the machine that compiles."""
    if value.keys() >= _REPACK and "/" in str(value["source_dir"]):
        # The folder of this machine; the job asks only whether there is one (SDK 2.257 and 3.27).
        return {**value, "source_dir": re.sub(r"[^\"]+", _SCRIPT_PATH, str(value["source_dir"]))}
    return value


def _code_uris(step: Mapping[str, Any]) -> list[str]:
    """Return the literal S3 URIs of the code that a step runs."""
    found: list[Any] = []
    arguments = step.get("Arguments")
    tuned = value_at(arguments, "TrainingJobDefinition")
    for job in objects([arguments, tuned]) + objects(value_at(arguments, "TrainingJobDefinitions")):
        inputs = {item.get("InputName"): item for item in objects(job.get("ProcessingInputs"))}
        channels = {item.get("ChannelName"): item for item in objects(job.get("InputDataConfig"))}
        for name in _CODE_INPUTS:
            found.append(value_at(inputs.get(name), "S3Input.S3Uri"))
            found.append(value_at(channels.get(name), "DataSource.S3DataSource.S3Uri"))
    found.extend(_submitted(arguments))
    # SDK v2 writes hyperparameters as JSON.
    texts = [value.strip('"') for value in found if isinstance(value, str)]
    return [text for text in texts if text.startswith("s3://")]


def _submitted(value: Any) -> list[Any]:
    """Return what the variables that name code hold, at any depth."""
    if isinstance(value, Mapping):
        own = [item for key, item in value.items() if key in _CODE_VARIABLES]
        return own + [found for item in value.values() for found in _submitted(item)]
    if isinstance(value, list):
        return [found for item in value for found in _submitted(item)]
    return []
