"""Compile pipelines to envelopes: offline, and byte for byte the same for the same sources."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.offline import offline_session, uploaded_files
from sagemaker_compile.sources import Source
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, NAME_PREFIX, REGION, ROLE_ARN, with_placeholders
from sagemaker_pipelines.definition import annotate, canonical, check, iter_steps, parameters_of
from sagemaker_pipelines.definition.document import own_part
from sagemaker_pipelines.definition.envelope import ENVELOPE_VERSION, Asset
from sagemaker_pipelines.definition.placeholders import IMAGE_PREFIX, find_placeholders

DEFINITIONS = Path(__file__).parent.parent / "dags" / "definitions"


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline.

    :param name: the pipeline's name.
    :param envelope: the text of ``<name>.json``.
    :param assets: path below the definitions' folder to content.
    """

    name: str
    envelope: str
    assets: Mapping[str, bytes]

    @property
    def files(self) -> dict[str, bytes]:
        """Everything to be written: path below the definitions' folder to content."""
        return {f"{self.name}.json": self.envelope.encode(), **self.assets}


def compile_pipeline(source: Source) -> Compiled:
    """Build a pipeline with the SDK and return its envelope and assets.

    :param source: what to compile.
    :raise CompileError: when its module has no ``build``, builds another pipeline than its name says, or
        writes the region into it that only stands in.
    :raise InvalidDefinitionError: when the linter refuses the definition. What the module names in
        ``ALLOWED_ARGUMENTS`` is not checked: arguments that SageMaker takes and botocore does not know yet.
    """
    with offline_session() as session:
        from sagemaker_compile.images import TAGS, image_uri, image_uris_by_region

        definition_text = _build(source, session)
        uploads = {uri: (_asset(uri, content), content) for uri, content in uploaded_files().items()}
        replacements = {
            uri: f"s3://{ARTIFACT_BUCKET}/{asset.key(NAME_PREFIX)}" for uri, (asset, _) in uploads.items()
        }
        # First the uploads alone: their new URIs hold stand-ins again.
        for uri, final in replacements.items():
            definition_text = definition_text.replace(json.dumps(uri), json.dumps(final))
        images = {image_uri(name): f"${{{IMAGE_PREFIX}{name}}}" for name in TAGS}
        definition = json.loads(with_placeholders(definition_text, images))
        # The SDK writes null for settings that are not used.
        definition = {key: value for key, value in definition.items() if value is not None}
        allowed = _check(definition, source, session)
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


def _build(source: Source, session: Any) -> str:
    module = importlib.import_module(source.module)
    if not hasattr(module, "build"):
        raise CompileError(f"{source.module} has no build(session): define it and return a Pipeline.")
    pipeline = module.build(session)
    if pipeline.name != f"{NAME_PREFIX}{source.name}":
        raise CompileError(
            f"{source.module} builds a pipeline called {pipeline.name!r}, "
            f"expected prefixed({source.name!r}): the folder's name is the pipeline's."
        )
    text: str = pipeline.definition()
    if ROLE_ARN not in text:
        raise CompileError(
            f"{source.module} uses no role: pass ROLE_ARN of sagemaker_compile.stand_ins to its jobs."
        )
    return text


def _check(definition: Mapping[str, Any], source: Source, session: Any) -> list[str]:
    """Refuse a definition that SageMaker would refuse; return which arguments its source allows."""
    allowed = getattr(importlib.import_module(source.module), "ALLOWED_ARGUMENTS", ())
    if isinstance(allowed, str) or not all(isinstance(name, str) for name in allowed):
        raise CompileError(
            f"{source.module} has ALLOWED_ARGUMENTS {allowed!r}, expected names of arguments: "
            'write a tuple such as ("Training.NewMember",).'
        )
    check(definition, session.sagemaker_client.meta.service_model, name=source.name, allowed=allowed)
    _check_regions(definition)
    return sorted(allowed)


def _check_regions(definition: Mapping[str, Any]) -> None:
    """Refuse what ModelBuilder.register() writes unless the model was built before (sagemaker 3.27.0)."""
    setting = f'"SAGEMAKER_REGION": "{REGION}"'
    for step in iter_steps(definition):
        if setting in json.dumps(own_part(step)):
            raise CompileError(
                f"Step {step['Name']} has {setting} in a container's environment, a region that only stands "
                "in while compiling: call build() of its ModelBuilder before register()."
            )


def _asset(uri: str, content: bytes) -> Asset:
    name, digest = PurePosixPath(uri).name, hashlib.sha256(content).hexdigest()
    return Asset(name, f"assets/{digest}/{name}", digest)


def write(compiled: list[Compiled], target: Path = DEFINITIONS, *, complete: bool) -> list[str]:
    """Write envelopes and assets.

    :param compiled: what to write.
    :param target: the definitions' folder.
    :param complete: whether these are all pipelines: then what belongs to none of them is removed.
    :return: the paths that were written or removed, below the folder.
    """
    files = _files(compiled)
    changed = []
    for path, content in files.items():
        file = target / path
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            changed.append(path)
    for path in _stale(files, target) if complete else ():
        (target / path).unlink()
        if (target / path).parent != target and not any((target / path).parent.iterdir()):
            (target / path).parent.rmdir()
        changed.append(path)
    return changed


def differences(compiled: list[Compiled], target: Path = DEFINITIONS, *, complete: bool) -> str:
    """Return a unified diff from what is in the folder to what would be written; empty when it is current.

    :param compiled: what would be written.
    :param target: the definitions' folder.
    :param complete: whether these are all pipelines.
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
    present = [path for path in target.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(name for path in present if (name := path.relative_to(target).as_posix()) not in files)


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", errors="backslashreplace").splitlines(keepends=True)
