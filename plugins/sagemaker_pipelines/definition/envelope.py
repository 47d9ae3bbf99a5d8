"""The envelope: a definition with its images by region, its assets and its placeholders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_pipelines.definition.annotations import annotate
from sagemaker_pipelines.definition.document import iter_steps
from sagemaker_pipelines.definition.files import (
    ENVELOPE_KEY,
    plain_document,
    read_annotations,
    read_document,
)
from sagemaker_pipelines.definition.functions import Function
from sagemaker_pipelines.definition.parameters import Parameter, parameters_of
from sagemaker_pipelines.definition.placeholders import (
    IMAGE_PREFIX,
    NAMES,
    find_placeholders,
    has_placeholder,
    is_placeholder,
    substitute,
)
from sagemaker_pipelines.exceptions import DefinitionError, PlaceholderError

ENVELOPE_VERSION = 1

#: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html, PipelineName
MAX_NAME_LENGTH = 256
NAME_PATTERN = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


@dataclass(frozen=True)
class Asset:
    """A code file that steps need in S3.

    :param name: its file name, or its path in the folder that it belongs to.
    :param path: its path below the envelope's folder, which contains the hash of its content.
    :param sha256: the hash of its content, 64 hexadecimal digits.
    :param folder: the hash of the names and contents of the folder that a step reads as a whole; empty if the
        step reads this file alone.
    :param stored_key: the key of a file that was adopted where it is, possibly with ``${name_prefix}``; None
        for a key made of the hash.
    """

    name: str
    path: str
    sha256: str
    folder: str = ""
    stored_key: str | None = None

    def key(self, name_prefix: str) -> str:
        """Return the key in the artifact bucket where the definition expects this file."""
        if self.stored_key is not None:
            return str(substitute(self.stored_key, {"name_prefix": name_prefix}))
        return f"{name_prefix}assets/{self.folder or self.sha256}/{self.name}"


@dataclass(frozen=True)
class Envelope:
    """A definition with everything that an upsert needs.

    :param name: the pipeline's name, without the environment's prefix.
    :param description: what the pipeline does, in one sentence.
    :param definition: the definition with placeholders.
    :param images: image name to region to image URI.
    :param assets: the code files, which must be uploaded before the definition is created.
    :param placeholders: names of the placeholders in the definition, sorted.
    :param root: the folder that the paths of the assets are relative to.
    :param annotations: what the definition cannot say about its parameters (see :func:`annotate`).
    :param allowed_arguments: names of arguments that are not checked (see :func:`check`).
    :param role_arn: the role of the pipeline, possibly with placeholders; None means the environment's.
    :param origin: the pipeline or file of a definition that was not compiled; None if it was compiled.
    :param functions: the Lambda functions that are deployed with the definition.
    """

    name: str
    description: str
    definition: dict[str, Any]
    images: Mapping[str, Mapping[str, str]]
    assets: tuple[Asset, ...]
    placeholders: tuple[str, ...]
    root: Path
    annotations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    allowed_arguments: tuple[str, ...] = ()
    role_arn: str | None = None
    origin: str | None = None
    functions: tuple[Function, ...] = ()

    @classmethod
    def load(cls, path: str | Path) -> Envelope:
        """Read a definition from a file.

        A plain definition is named after its file, with hyphens instead of underscores, and needs no
        placeholders; ``x.parameters.toml`` next to ``x.json`` may annotate its parameters.

        :param path: an envelope, a definition as the SDK returns it, or DescribePipeline's answer.
        :raise DefinitionError: when it is missing, is not JSON, or is none of these.
        """
        path = Path(path)
        document = read_document(path)
        envelope = cls._of(document, path) if ENVELOPE_KEY in document else cls._of_plain(document, path)
        envelope._check_placeholders(path)
        return envelope

    @classmethod
    def _of_plain(cls, document: Mapping[str, Any], path: Path) -> Envelope:
        plain = plain_document(document, path)
        texts = [plain.definition, plain.role_arn]
        annotations = read_annotations(path)
        annotate(parameters_of(plain.definition), annotations)
        return cls(
            name=path.stem.replace("_", "-"),
            description=plain.description,
            definition=plain.definition,
            images={},
            assets=(),
            placeholders=tuple(sorted(filter(is_placeholder, find_placeholders(texts)))),
            root=path.parent,
            annotations=annotations,
            role_arn=plain.role_arn,
            origin=str(path),
        )

    @classmethod
    def _of(cls, document: Mapping[str, Any], path: Path) -> Envelope:
        try:
            if document["envelope_version"] != ENVELOPE_VERSION:
                raise DefinitionError(
                    f"{path} has the envelope version {document['envelope_version']!r}, expected "
                    f"{ENVELOPE_VERSION}: compile it again with this version (make compile)."
                )
            envelope = cls(
                name=document["name"],
                description=document["description"],
                definition=dict(document["definition"]),
                images={name: dict(regions) for name, regions in document["images"].items()},
                assets=tuple(Asset(**asset) for asset in document["assets"]),
                placeholders=tuple(document["placeholders"]),
                root=path.parent,
                annotations=dict(document.get("annotations", {})),
                allowed_arguments=tuple(document.get("allowed_arguments", ())),
                role_arn=document.get("role_arn"),
                origin=document.get("origin"),
                functions=tuple(Function(**item) for item in document.get("functions", ())),
            )
            annotate(parameters_of(envelope.definition), envelope.annotations)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DefinitionError(
                f"{path} is not a compiled envelope ({type(error).__name__}: {error}): "
                "write it with `sagemaker-pipelines compile`."
            ) from error
        return envelope

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the definition declares, annotated."""
        return annotate(parameters_of(self.definition), self.annotations)

    def pipeline_name(self, name_prefix: str = "") -> str:
        """Return the name that the pipeline has in SageMaker.

        :param name_prefix: the environment's prefix, such as ``dev-``; may be empty.
        :raise PlaceholderError: when SageMaker would refuse the name because of the prefix.
        :raise DefinitionError: when it would refuse the name of the definition's file.
        """
        if not is_pipeline_name(self.name):
            raise DefinitionError(
                f"The definition {self.origin or self.name} would make a pipeline with the name "
                f"{self.name!r}: expected at most {MAX_NAME_LENGTH} letters, digits and hyphens, starting "
                "with a letter or digit. Rename its file, or give another name with pipeline_name."
            )
        name = f"{name_prefix}{self.name}"
        if not is_pipeline_name(name):
            raise PlaceholderError(
                f"name_prefix is {name_prefix!r}, which makes the pipeline's name {name!r}: expected at most "
                f"{MAX_NAME_LENGTH} letters, digits and hyphens, starting with a letter or digit (such as "
                "'dev-'). Change the setting."
            )
        return name

    def fill(self, values: Mapping[str, str], *, region: str) -> dict[str, Any]:
        """Return the definition with every placeholder filled.

        :param values: placeholder to value; images and ``region`` follow the region. It may contain other
            names.
        :param region: the region where the pipeline is created.
        :raise PlaceholderError: a placeholder has no value, or an image is not available in the region; the
            message names them.
        """
        definition: dict[str, Any] = substitute(self.definition, self._filled(values, region))
        return definition

    def fill_functions(self, values: Mapping[str, str], *, region: str) -> tuple[Function, ...]:
        """Return the Lambda functions as they are deployed; see :meth:`fill`.

        :raise PlaceholderError: a placeholder has no value, or the prefix makes an impossible name.
        """
        filled = self._filled(values, region)
        return tuple(function.filled(filled) for function in self.functions)

    def _filled(self, values: Mapping[str, str], region: str) -> dict[str, str]:
        """Return the value of every placeholder."""
        given = {"region": region, **values}
        filled = {name: given[name] for name in self.placeholders if name in given}
        for name in self.placeholders:
            if name.startswith(IMAGE_PREFIX) and name not in filled:
                filled[name] = self.image(name.removeprefix(IMAGE_PREFIX), region)
        missing = [name for name in self.placeholders if not filled.get(name) and name != "name_prefix"]
        if missing or ("name_prefix" in self.placeholders and "name_prefix" not in filled):
            missing = missing or ["name_prefix"]
            raise PlaceholderError(
                f"Pipeline {self.name!r} has no value for {', '.join(missing)}: set it in the connection's "
                "extra or in the operator."
            )
        if "name_prefix" in filled:
            self.pipeline_name(filled["name_prefix"])
        return filled

    def image(self, name: str, region: str) -> str:
        """Return the URI of an image in a region.

        :raise PlaceholderError: when the image or the region is not known.
        """
        regions = self.images.get(name, {})
        if region not in regions:
            raise PlaceholderError(
                f"Image {name!r} has no URI for the region {region!r}, expected one of "
                f"{', '.join(sorted(regions)) or '(no regions)'}. Deploy to one of them, or give a value for "
                f"{IMAGE_PREFIX}{name}."
            )
        return regions[region]

    def asset_path(self, asset: Asset) -> Path:
        """Check the content of an asset and return its path.

        :raise DefinitionError: when it is missing, or is not the file that the definition was compiled with.
        """
        path = self.root / asset.path
        try:
            seen = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise DefinitionError(f"Asset {path} cannot be read ({error}): run `make compile`.") from error
        if seen != asset.sha256:
            raise DefinitionError(
                f"Asset {path} has the hash {seen}, expected {asset.sha256}: it was edited after compiling. "
                "Edit its source next to the pipeline instead, and run `make compile`."
            )
        return path

    def role(self, values: Mapping[str, str]) -> str | None:
        """Return the role of the pipeline: what the document names, else the environment's.

        Without either, it is the role of the steps, if they all have the same one.

        :param values: placeholder to value.
        :return: the ARN; None if neither the definition nor the environment names one.
        """
        named = substitute(self.role_arn, values) if self.role_arn else values.get("role_arn")
        if named:
            return str(named)
        roles = {
            str(step["Arguments"]["RoleArn"])
            for step in iter_steps(self.definition)
            if isinstance(step.get("Arguments"), dict) and isinstance(step["Arguments"].get("RoleArn"), str)
        }
        roles = {role for role in roles if not has_placeholder(role)}
        return roles.pop() if len(roles) == 1 else None

    def _check_placeholders(self, path: Path) -> None:
        found = find_placeholders([self.definition, self.role_arn, *map(vars, self.functions)])
        # Other text in ${...} is a shell's variable, unless the envelope says that it is a placeholder.
        used = tuple(sorted(name for name in found if name in self.placeholders or is_placeholder(name)))
        if used != self.placeholders:
            raise DefinitionError(
                f"{path} lists the placeholders {', '.join(self.placeholders)}, but its definition uses "
                f"{', '.join(used)}: compile it again (make compile)."
            )
        images = {f"{IMAGE_PREFIX}{name}" for name in self.images}
        unknown = [name for name in used if name not in NAMES and name not in images]
        if unknown:
            raise DefinitionError(
                f"{path} uses the unknown placeholders {', '.join(unknown)}, expected any of "
                f"{', '.join(sorted(NAMES | images))}: correct them and compile it again (make compile)."
            )


def is_pipeline_name(name: str) -> bool:
    """Return whether SageMaker accepts the name of a pipeline."""
    return len(name) <= MAX_NAME_LENGTH and NAME_PATTERN.fullmatch(name) is not None
