"""Compile pipelines to envelopes, offline; the same sources always give the same bytes."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.offline import offline_session, uploaded_files
from sagemaker_compile.sources import Source
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, NAME_PREFIX, REGION, ROLE_ARN, with_placeholders
from sagemaker_pipelines.definition import annotate, canonical, check, iter_steps, parameters_of
from sagemaker_pipelines.definition.document import own_part
from sagemaker_pipelines.definition.envelope import ENVELOPE_VERSION, Asset, Envelope
from sagemaker_pipelines.definition.files import annotations_path
from sagemaker_pipelines.definition.placeholders import IMAGE_PREFIX, find_placeholders
from sagemaker_pipelines.exceptions import DefinitionError


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline.

    :param name: the pipeline's name.
    :param envelope: the text of ``<name>.json``.
    :param assets: the content of each asset, by its path in the definitions' folder.
    """

    name: str
    envelope: str
    assets: Mapping[str, bytes]

    @property
    def files(self) -> dict[str, bytes]:
        """The content of every file to write, by its path in the definitions' folder."""
        return {f"{self.name}.json": self.envelope.encode(), **self.assets}


def compile_pipeline(source: Source) -> Compiled:
    """Build a pipeline with the SDK and return its envelope and assets.

    :param source: what to compile.
    :raise CompileError: if its module has no ``build``, gives the pipeline another name than its folder's,
        or writes the stand-in of the region into it.
    :raise InvalidDefinitionError: if the linter refuses the definition. It does not check the arguments that
        the module lists in ``ALLOWED_ARGUMENTS``: those that SageMaker takes and botocore does not know yet.
    """
    with offline_session() as session:
        from sagemaker_compile.images import TAGS, image_uri, image_uris_by_region

        module = source.load()
        definition_text = _build(module, source, session)
        uploads = {uri: (_asset(uri, content), content) for uri, content in uploaded_files().items()}
        replacements = {
            uri: f"s3://{ARTIFACT_BUCKET}/{asset.key(NAME_PREFIX)}" for uri, (asset, _) in uploads.items()
        }
        # The uploads come first, because their new URIs contain stand-ins.
        for uri, final in replacements.items():
            definition_text = definition_text.replace(json.dumps(uri), json.dumps(final))
        images = {image_uri(name): f"${{{IMAGE_PREFIX}{name}}}" for name in TAGS}
        definition = json.loads(with_placeholders(definition_text, images))
        # The SDK writes null for unused settings.
        definition = {key: value for key, value in definition.items() if value is not None}
        allowed = _check(definition, module, source, session)
        annotate(parameters_of(definition), source.annotations())
        placeholders = sorted(find_placeholders(definition))
        used = [name for name in TAGS if f"{IMAGE_PREFIX}{name}" in placeholders]
        regions = {name: image_uris_by_region(name) for name in used}
    assets = sorted({asset for asset, _ in uploads.values()}, key=lambda asset: asset.path)
    document = {
        "envelope_version": ENVELOPE_VERSION,
        "name": source.name,
        "description": source.description,
        "annotations": source.annotations(),
        "definition": definition,
        "images": regions,
        "assets": [{"name": item.name, "path": item.path, "sha256": item.sha256} for item in assets],
        "placeholders": placeholders,
        **({"allowed_arguments": allowed} if allowed else {}),
    }
    return Compiled(
        source.name, canonical(document), {asset.path: content for asset, content in uploads.values()}
    )


def _build(module: ModuleType, source: Source, session: Any) -> str:
    if not hasattr(module, "build"):
        raise CompileError(f"{source.module} has no build(session): define it and return a Pipeline.")
    pipeline = module.build(session)
    if pipeline.name != f"{NAME_PREFIX}{source.name}":
        raise CompileError(
            f"{source.module} builds a pipeline called {pipeline.name!r}, "
            f"expected prefixed({source.name!r}): a pipeline has the name of its folder."
        )
    text: str = pipeline.definition()
    if ROLE_ARN not in text:
        raise CompileError(
            f"{source.module} uses no role: pass ROLE_ARN of sagemaker_compile.stand_ins to its jobs."
        )
    return text


def _check(definition: Mapping[str, Any], module: ModuleType, source: Source, session: Any) -> list[str]:
    """Refuse a definition that SageMaker would refuse; return the arguments that its source allows."""
    allowed = getattr(module, "ALLOWED_ARGUMENTS", ())
    if isinstance(allowed, str) or not all(isinstance(name, str) for name in allowed):
        raise CompileError(
            f"{source.module} has ALLOWED_ARGUMENTS {allowed!r}, expected a list of argument names: "
            'write a tuple such as ("Training.NewMember",).'
        )
    check(definition, session.sagemaker_client.meta.service_model, name=source.name, allowed=allowed)
    _check_regions(definition)
    return sorted(allowed)


def _check_regions(definition: Mapping[str, Any]) -> None:
    """Refuse the region that ModelBuilder.register() writes for a model not built before (sagemaker 3.27)."""
    setting = f'"SAGEMAKER_REGION": "{REGION}"'
    for step in iter_steps(definition):
        if setting in json.dumps(own_part(step)):
            raise CompileError(
                f"Step {step['Name']} has {setting} in a container's environment, and the region is not "
                "known when a pipeline is compiled: call build() of its ModelBuilder before register()."
            )


def _asset(uri: str, content: bytes) -> Asset:
    name, digest = PurePosixPath(uri).name, hashlib.sha256(content).hexdigest()
    return Asset(name, f"assets/{digest}/{name}", digest)


def write(compiled: list[Compiled], target: Path, *, complete: bool) -> list[str]:
    """Write envelopes and assets.

    :param compiled: what to write.
    :param target: the definitions' folder.
    :param complete: whether these are all pipelines; if so, files that belong to none of them are removed.
    :return: the paths in the folder that were written or removed.
    :raise CompileError: if a file to be removed was not written by compiling.
    """
    files = _files(compiled)
    stale = _stale(files, target) if complete else []
    changed = []
    for path, content in files.items():
        file = target / path
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            changed.append(path)
    for path in stale:
        (target / path).unlink()
        if (target / path).parent != target and not any((target / path).parent.iterdir()):
            (target / path).parent.rmdir()
        changed.append(path)
    return changed


def differences(compiled: list[Compiled], target: Path, *, complete: bool) -> str:
    """Return a unified diff from what is in the folder to what would be written; empty if it is current.

    :param compiled: what would be written.
    :param target: the definitions' folder.
    :param complete: see :func:`write`.
    :raise CompileError: see :func:`write`.
    """
    files = _files(compiled)
    wanted: dict[str, bytes] = {**files, **dict.fromkeys(_stale(files, target) if complete else (), b"")}
    parts: list[str] = []
    for path, content in wanted.items():
        file = target / path
        present = file.read_bytes() if file.is_file() else b""
        if present != content or not file.is_file() or path not in files:
            parts.extend(
                difflib.unified_diff(
                    _lines(present),
                    _lines(content),
                    f"committed/{path}",
                    f"compiled/{path}" if path in files else "/dev/null",
                )
            )
    return "".join(parts)


def _files(compiled: list[Compiled]) -> dict[str, bytes]:
    return {path: content for item in compiled for path, content in item.files.items()}


def _stale(files: Mapping[str, bytes], target: Path) -> list[str]:
    """Return the files in the folder that belong to no pipeline and to no other definition."""
    present = [path for path in target.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    known = {*files, *_others(target)}
    stale = sorted(name for path in present if (name := path.relative_to(target).as_posix()) not in known)
    for name in stale:
        if not _is_compiled(target, name):
            raise CompileError(
                f"{target} holds {name}, expected only compiled definitions and their assets, because files "
                "that belong to no pipeline are removed. Move it away, or name another folder with --out."
            )
    return stale


def _others(target: Path) -> set[str]:
    """Return the files of the definitions in the folder that were adopted, or are plain ones."""
    known = {".airflowignore"}
    for path in target.glob("*.json"):
        try:
            envelope = Envelope.load(path)
        except DefinitionError:
            # Nobody knows what it is, which is reported.
            continue
        if envelope.origin is not None:
            known |= {path.name, annotations_path(path).name, *(asset.path for asset in envelope.assets)}
    return known


def _is_compiled(target: Path, name: str) -> bool:
    """Return whether a file in the folder can be an asset or an envelope."""
    path = PurePosixPath(name)
    if len(path.parts) > 1:
        return len(path.parts) == 3 and path.parts[0] == "assets"
    return path.suffix == ".json" and b'"envelope_version"' in (target / path).read_bytes()


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", errors="backslashreplace").splitlines(keepends=True)
