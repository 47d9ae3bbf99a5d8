"""Compile pipelines to envelopes, offline; the same sources always give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel

from sagemaker_compile.capture import Capture, capture
from sagemaker_compile.code_assets import CodeAssets
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.folder import Compiled
from sagemaker_compile.function_assets import function_entries
from sagemaker_compile.image_tables import placeholder_names
from sagemaker_compile.sources import Source
from sagemaker_compile.stand_ins import REGION, with_placeholders
from sagemaker_pipelines.definition import annotate, canonical, check, iter_steps, parameters_of
from sagemaker_pipelines.definition.document import own_part
from sagemaker_pipelines.definition.envelope import ENVELOPE_VERSION, Asset, is_pipeline_name
from sagemaker_pipelines.definition.placeholders import IMAGE_PREFIX, find_placeholders, is_placeholder

#: The SDK writes the region into the environment of a model's container, and v2 into hyperparameters as JSON.
_REGION = {
    setting % REGION: setting % "${region}"
    for setting in ('"SAGEMAKER_REGION": "%s"', r'"sagemaker_region": "\"%s\""')
}

#: Every function with ``@step`` has it in its environment.
_SIGNATURE = "REMOTE_FUNCTION_SECRET_KEY"


def compile_pipeline(source: Source, captured: Capture | None = None) -> Compiled:
    """Return the envelope and the assets of a pipeline.

    :param source: what to compile.
    :param captured: what the SDK made of it; None builds it with the SDK of this environment.
    :raise CompileError: if it cannot be built, or its definition depends on where it was compiled.
    :raise InvalidDefinitionError: if the linter refuses the definition. It does not check the arguments that
        the module lists in ``ALLOWED_ARGUMENTS``: those that SageMaker takes and botocore does not know yet.
    """
    _check_name(source)
    captured = captured or capture(source)
    code = CodeAssets(captured.files, captured.folders)
    # The SDK writes null for unused settings.
    built = {key: value for key, value in json.loads(captured.definition).items() if value is not None}
    # The uploads come first, because their new URIs contain stand-ins.
    built = code.replaced(built)
    code.check_code(built, captured.external_code)
    _check_repeatable(built)
    allowed = captured.allowed_arguments
    functions = function_entries(built, captured.functions, code, allowed=allowed)
    images = placeholder_names(captured.images)
    replacements = {uri: f"${{{IMAGE_PREFIX}{name}}}" for uri, name in images.items()} | _REGION
    definition, functions = json.loads(with_placeholders(json.dumps([built, functions]), replacements))
    # Without a session, which would read the settings of this machine.
    model = ServiceModel(create_loader().load_service_model("sagemaker", "service-2"), "sagemaker")
    check(definition, model, name=source.name, allowed=allowed)
    annotate(parameters_of(definition), source.annotations())
    assets = sorted(code.assets, key=lambda asset: (asset.path, asset.folder, asset.name))
    document = {
        "envelope_version": ENVELOPE_VERSION,
        "name": source.name,
        "description": source.description,
        "annotations": source.annotations(),
        "definition": definition,
        "images": {images[uri]: image.regions for uri, image in captured.images.items()},
        "assets": [_entry(asset) for asset in assets],
        "placeholders": sorted(filter(is_placeholder, find_placeholders([definition, functions]))),
    }
    if functions:
        document["functions"] = functions
    if allowed:
        document["allowed_arguments"] = list(allowed)
    return Compiled(source.name, canonical(document), code.contents)


def _check_name(source: Source) -> None:
    if not is_pipeline_name(source.name):
        raise CompileError(
            f"The folder {source.folder} would make a pipeline with the name {source.name!r}; expected "
            "letters, digits, hyphens and underscores, starting and ending with a letter or digit. Rename it."
        )


def _entry(asset: Asset) -> dict[str, str]:
    return {name: value for name, value in vars(asset).items() if value}


def _check_repeatable(definition: Mapping[str, Any]) -> None:
    """Refuse steps that are never the same twice."""
    for step in iter_steps(definition):
        if _SIGNATURE in json.dumps(own_part(step)):
            raise CompileError(
                f"Step {step['Name']} is a function with @step, which the SDK pickles and signs with a new "
                "key each time, so the definition would never be the same twice. Deploy the pipeline with "
                "the SDK (pipeline.upsert), and take it over with `sagemaker-pipelines adopt NAME`. Or move "
                "the function to a script, and run it with a processor or a ModelTrainer."
            )
