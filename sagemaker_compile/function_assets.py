"""Turn the functions that the SDK would deploy into entries of the envelope, with their code as assets."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel

from sagemaker_compile.archives import normalized_zip
from sagemaker_compile.code_assets import CodeAssets
from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.functions import CapturedFunction
from sagemaker_compile.stand_ins import NAME_PREFIX
from sagemaker_pipelines.definition import iter_steps
from sagemaker_pipelines.definition.functions import SETTINGS
from sagemaker_pipelines.definition.lint_arguments import lint_request


def function_entries(
    definition: Mapping[str, Any],
    functions: Mapping[str, CapturedFunction],
    code: CodeAssets,
    *,
    allowed: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return the entry of each function that a step calls, sorted by name; their code becomes assets.

    :param definition: the definition with stand-ins.
    :param functions: the functions that the SDK would deploy, by ARN.
    :param code: collects the assets.
    :param allowed: names of settings that are not checked, such as ``Function.Runtime``.
    :raise CompileError: Lambda would refuse a function, or could not find its handler.
    """
    called = {step.get("FunctionArn") for step in iter_steps(definition)}
    return [_entry(functions[arn], code, allowed) for arn in sorted(functions.keys() & called)]


def _entry(function: CapturedFunction, code: CodeAssets, allowed: Collection[str]) -> dict[str, Any]:
    name = str(function.settings["FunctionName"]).removeprefix(NAME_PREFIX)
    try:
        archive = normalized_zip(name, function.code)
    except zipfile.BadZipFile as error:
        raise CompileError(
            f"The code of the Lambda function {name!r} is not a zip archive ({error}). Give zipped_code_dir "
            "the path of a zip file, or script the path of a Python file."
        ) from error
    problems = [
        *(str(item) for item in _problems(function.settings) if item.name not in allowed),
        *_missing_handler(function.settings, archive),
    ]
    if problems:
        raise CompileError(f"Lambda would refuse the function {name!r}: {' '.join(problems)}")
    # Unset settings are written as empty ones by the SDK.
    settings = {key: function.settings[key] for key in SETTINGS if function.settings.get(key)}
    return {"name": name, "code": code.add(f"{name}.zip", archive).path, "settings": settings}


def _problems(settings: Mapping[str, Any]) -> Iterator[Any]:
    model = ServiceModel(create_loader().load_service_model("lambda", "service-2"), "lambda")
    shape = model.operation_model("CreateFunction").input_shape
    yield from lint_request("Function", {**settings, "Code": {}}, shape, "CreateFunction")
    for key in sorted(settings.keys() - {*SETTINGS, "FunctionName"}):
        if key in shape.members and settings[key]:
            raise CompileError(
                f"The Lambda function {settings['FunctionName'].removeprefix(NAME_PREFIX)!r} sets {key}, "
                f"expected only {', '.join(SETTINGS)}. Remove it, or deploy the function with your other "
                "infrastructure, and give its ARN: Lambda(function_arn=...)."
            )


def _missing_handler(settings: Mapping[str, Any], archive: bytes) -> Iterator[str]:
    """Yield a problem if the archive does not have the handler's module; a layer may have it, too."""
    module = str(settings.get("Handler", "")).rpartition(".")[0].replace(".", "/")
    if settings.get("Layers") or not str(settings.get("Runtime", "")).startswith("python"):
        return
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        names = source.namelist()
    if not {f"{module}.py", f"{module}/__init__.py"} & {*names}:
        yield (
            f"Handler is {settings.get('Handler')!r}, but the code has only {', '.join(names[:5])}; make it "
            "<file without .py>.<function>."
        )
