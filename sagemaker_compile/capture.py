"""Build a pipeline with the SDK, and keep what only the SDK knows: its definition, uploads and images.

This runs in the environment of the SDK, which may differ from that of the compiler (see interpreter.py).
It therefore imports nothing of the Airflow package, and runs on Python 3.9.
"""

from __future__ import annotations

import base64
import inspect
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

from sagemaker_compile import sdk
from sagemaker_compile.exceptions import CompileError, PipelineSourceError
from sagemaker_compile.functions import CapturedFunction
from sagemaker_compile.image_tables import KnownImage, known_images
from sagemaker_compile.offline import OfflineSession, offline_session
from sagemaker_compile.sources import Source
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, REGION, ROLE_ARN, prefixed


@dataclass(frozen=True)
class Capture:
    """What the SDK made of a pipeline's sources.

    :param definition: the definition as JSON, with stand-ins.
    :param files: the content of each uploaded file, by its S3 URI.
    :param folders: the S3 URIs of uploaded folders.
    :param images: the images in the definition that the SDK knows, by URI.
    :param functions: the Lambda functions that the SDK would deploy, by ARN.
    :param allowed_arguments: ``ALLOWED_ARGUMENTS`` of the source, sorted.
    :param external_code: ``EXTERNAL_CODE`` of the source, sorted.
    """

    definition: str
    files: Mapping[str, bytes]
    folders: frozenset[str]
    images: Mapping[str, KnownImage]
    functions: Mapping[str, CapturedFunction]
    allowed_arguments: tuple[str, ...]
    external_code: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the capture as values that JSON has."""
        return {
            **vars(self),
            "files": {uri: base64.b64encode(content).decode() for uri, content in self.files.items()},
            "folders": sorted(self.folders),
            "images": {uri: asdict(image) for uri, image in self.images.items()},
            "functions": {
                arn: {"settings": item.settings, "code": base64.b64encode(item.code).decode()}
                for arn, item in self.functions.items()
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Capture:
        """Return the capture that :meth:`to_json` has written."""
        return cls(
            definition=document["definition"],
            files={uri: base64.b64decode(content) for uri, content in document["files"].items()},
            folders=frozenset(document["folders"]),
            images={uri: KnownImage(**image) for uri, image in document["images"].items()},
            functions={
                arn: CapturedFunction(item["settings"], base64.b64decode(item["code"]))
                for arn, item in document["functions"].items()
            },
            allowed_arguments=tuple(document["allowed_arguments"]),
            external_code=tuple(document["external_code"]),
        )


def capture(source: Source) -> Capture:
    """Build a pipeline offline.

    :param source: the pipeline's sources. Its module has a function ``build(session)``, or ``get_pipeline``
        as in AWS's MLOps templates, or a variable that is a ``Pipeline``. Its ``ALLOWED_ARGUMENTS`` names
        arguments that are not checked, and its ``EXTERNAL_CODE`` S3 URIs of code that others deploy.
    :raise CompileError: if the module has none of them, or cannot be built.
    """
    # A script that reads its command line finds none of the compiler's options there.
    with offline_session() as offline, patch.object(sys, "argv", [str(source.folder / "pipeline.py")]):
        try:
            module = source.load()
            definition = str(_build(module, source, offline).definition())
        except PipelineSourceError:
            raise
        except (Exception, SystemExit) as error:
            raise CompileError(
                f"{source.module} cannot be built: {type(error).__name__}: {error} ({_place(error, source)})."
            ) from error
        finally:
            # A module may keep a session, whose AWS ends here.
            package = source.folder.parent.name
            for name in [*sys.modules]:
                if name == package or name.startswith(f"{package}."):
                    del sys.modules[name]
        uploads = offline.uploads()
        return Capture(
            definition=definition,
            files=uploads.files,
            folders=uploads.folders,
            images=known_images(definition),
            functions=offline.functions,
            allowed_arguments=_names(module, "ALLOWED_ARGUMENTS", "Training.NewMember"),
            external_code=_names(module, "EXTERNAL_CODE", "s3://bucket/code/sourcedir.tar.gz"),
        )


def _place(error: BaseException, source: Source) -> str:
    """Return the step whose arguments led to an error, and the file and line of the sources that did."""
    frames = list(traceback.walk_tb(error.__traceback__))
    steps = [frame.f_locals["self"] for frame, _ in frames if sdk.is_step(frame.f_locals.get("self"))]
    lines = [
        f"{frame.f_code.co_filename}, line {line}"
        for frame, line in frames
        if frame.f_code.co_filename.startswith(str(source.folder.parent))
    ]
    # The arguments of a step are built after the sources have run.
    return ", ".join(
        [*[f"step {step.name}" for step in steps[-1:]], lines[-1] if lines else str(source.folder)]
    )


def _build(module: ModuleType, source: Source, offline: OfflineSession) -> Any:
    if hasattr(module, "build"):
        pipeline = _pipeline(module.build(offline.session), source, "build(session)")
        if pipeline.name != prefixed(source.name):
            raise CompileError(
                f"{source.module} builds a pipeline called {pipeline.name!r}, "
                f"expected prefixed({source.name!r}): a pipeline has the name of its folder."
            )
        return pipeline
    if hasattr(module, "get_pipeline"):
        arguments = _arguments(module.get_pipeline, source, offline)
        return _pipeline(module.get_pipeline(**arguments), source, "get_pipeline")
    pipelines = {name: value for name, value in vars(module).items() if sdk.is_pipeline(value)}
    if len(pipelines) == 1:
        return next(iter(pipelines.values()))
    raise CompileError(
        f"{source.module} has no build(session) and no get_pipeline(...), and {len(pipelines)} variables "
        "that are a Pipeline. Define build(session) and return a Pipeline."
    )


def _pipeline(value: Any, source: Source, function: str) -> Any:
    if not sdk.is_pipeline(value):
        raise CompileError(
            f"{function} of {source.module} returned {value!r}, expected a Pipeline of the SDK. Return it."
        )
    return value


def _arguments(function: Any, source: Source, offline: OfflineSession) -> dict[str, Any]:
    """Return the arguments that ``get_pipeline`` takes, under the names of AWS's MLOps templates."""
    offered = {
        "region": REGION,
        "role": ROLE_ARN,
        "role_arn": ROLE_ARN,
        "default_bucket": ARTIFACT_BUCKET,
        "pipeline_name": prefixed(source.name),
        "pipeline_session": offline.session,
        "sagemaker_session": offline.session,
    }
    parameters = inspect.signature(function).parameters.values()
    missing = [
        item.name
        for item in parameters
        if item.default is item.empty
        and item.kind in {item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY}
        and item.name not in offered
    ]
    if missing:
        raise CompileError(
            f"get_pipeline of {source.module} requires {', '.join(missing)}, which have no default, and only "
            f"{', '.join(offered)} are given. Define build(session) and return get_pipeline(...) with them."
        )
    names = {item.name for item in parameters}
    return {name: value for name, value in offered.items() if name in names}


def _names(module: ModuleType, variable: str, example: str) -> tuple[str, ...]:
    values = getattr(module, variable, ())
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise CompileError(
            f"{module.__name__} has {variable} {values!r}, expected a list of strings: "
            f'write a tuple such as ("{example}",).'
        )
    return tuple(sorted(values))
