"""Which requests about functions are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagemaker_local_runtime.exceptions import AwsError, ValidationError

INVALID = "InvalidParameterValueException"
# botocore's limits are those of functions with a capacity provider.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
# The text: https://github.com/covidatlas/li/pull/575
_LIMITS = {"Timeout": 900, "MemorySize": 10_240}
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
_RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)


def check_request(request: Mapping[str, Any]) -> None:
    """Refuse what the local runtime cannot do, by name, and what AWS refuses.

    :param request: of CreateFunction, UpdateFunctionCode or UpdateFunctionConfiguration.
    :raises AwsError: it is refused.
    """
    unsupported = [
        name for name in ("Layers", "FileSystemConfigs", "Publish", "ImageConfig") if request.get(name)
    ]
    code = request.get("Code", request)
    if request.get("PackageType") == "Image" or code.get("ImageUri"):
        unsupported.append("PackageType Image")
    runtime = request.get("Runtime", "python3")
    if not runtime.startswith("python"):
        unsupported.append(f"Runtime {runtime}")
    if unsupported:
        raise AwsError(
            f"The local runtime does not support {', '.join(unsupported)} of functions; it runs functions in "
            "Python from a zip archive. Put what a layer has into the archive.",
            code=INVALID,
        )
    reserved = sorted(_RESERVED & (request.get("Environment") or {}).get("Variables", {}).keys())
    if reserved:
        raise AwsError(
            "Lambda was unable to configure your environment variables because the environment variables you "
            "have provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}",
            code=INVALID,
        )
    for name, limit in _LIMITS.items():
        value = request.get(name, limit)
        if value > limit:
            raise ValidationError(
                f"1 validation error detected: Value '{value}' at '{name[:1].lower()}{name[1:]}' failed to "
                f"satisfy constraint: Member must have value less than or equal to {limit}"
            )
