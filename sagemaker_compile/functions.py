"""Keep the Lambda functions that the SDK would deploy while it builds a pipeline.

This runs in the environment of the SDK, like capture.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_compile.exceptions import CompileError
from sagemaker_compile.stand_ins import ACCOUNT, NAME_PREFIX, REGION, prefixed


@dataclass(frozen=True)
class CapturedFunction:
    """A function that the SDK would deploy.

    :param settings: the request of CreateFunction without the code; the name has the stand-in of the prefix.
    :param code: the zip archive with its code.
    """

    settings: Mapping[str, Any]
    code: bytes


class FunctionRecorder:
    """Answer the calls that deploy functions, and keep what they would deploy.

    :param read_object: returns the content of an object of S3, by its bucket and key.
    """

    def __init__(self, read_object: Callable[[str, str], bytes]) -> None:
        self._read_object = read_object
        #: The functions by ARN.
        self.functions: dict[str, CapturedFunction] = {}

    def create(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Answer CreateFunction; a function that exists is not refused if it is the same.

        :raise CompileError: another function has this name already, or the code is not a zip archive.
        """
        name = str(request["FunctionName"])
        name = name if name.startswith(NAME_PREFIX) else prefixed(name)
        settings = {key: value for key, value in request.items() if key != "Code"}
        function = CapturedFunction({**settings, "FunctionName": name}, self._code(name, request["Code"]))
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        if self.functions.setdefault(arn, function) != function:
            raise CompileError(
                f"Two Lambda functions are called {request['FunctionName']!r}, with different code or "
                "settings. Give each its own function_name, or use one Lambda object for all steps."
            )
        return {"FunctionArn": arn, "FunctionName": name}

    def update(self, request: Mapping[str, Any]) -> None:
        """Refuse UpdateFunctionCode.

        :raise CompileError: always.
        """
        raise CompileError(
            f"Lambda(function_arn={str(request['FunctionName'])!r}) has code, too, so building the pipeline "
            "would change a function that others deploy. Give the ARN alone, or function_name and "
            "execution_role_arn instead of the ARN, so that the function is deployed with the pipeline."
        )

    def _code(self, name: str, code: Mapping[str, Any]) -> bytes:
        if "ZipFile" in code:
            return bytes(code["ZipFile"])
        if "S3Key" in code:
            return self._read_object(code["S3Bucket"], code["S3Key"])
        raise CompileError(
            f"The Lambda function {name.removeprefix(NAME_PREFIX)!r} has its code in "
            f"{', '.join(code) or 'nothing'}, expected a zip archive. Give script or zipped_code_dir."
        )
