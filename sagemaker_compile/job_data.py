"""Where the jobs of a pipeline find their data, and where they leave it.

A processing input or output called ``train`` is at ``/opt/ml/processing/{input,output}/train``.
Each execution writes below a prefix of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sagemaker.core.shapes import (  # noqa: TID253 - builds SDK objects
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.workflow.execution_variables import ExecutionVariables  # noqa: TID253
from sagemaker.core.workflow.functions import Join  # noqa: TID253

#: Where a job finds the module of :func:`module_input`; the PYTHONPATH of its container.
MODULES_PATH = "/opt/ml/processing/input/modules"


def execution_uri(prefix: Any, *parts: str) -> Any:
    """Return an S3 URI below the prefix of the running execution.

    :param prefix: an S3 URI or a pipeline variable; each execution has a prefix of its own below it.
    :param parts: the path below the execution's prefix.
    """
    return Join(on="/", values=[prefix, ExecutionVariables.PIPELINE_EXECUTION_ID, *parts])


def s3_input(name: str, uri: Any, *, local_path: str | None = None) -> Any:
    """Return a processing input.

    :param name: its name, and its folder below ``/opt/ml/processing/input``.
    :param uri: an S3 prefix or a pipeline variable; a path on this machine is uploaded as an asset.
    :param local_path: the folder in the container; None takes the one of its name.
    """
    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=local_path or f"/opt/ml/processing/input/{name}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
        ),
    )


def s3_output(name: str, uri: Any) -> Any:
    """Return a processing output.

    :param name: its name, and its folder below ``/opt/ml/processing/output``.
    :param uri: the S3 URI to write to, or a pipeline variable.
    """
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(
            s3_uri=uri, local_path=f"/opt/ml/processing/output/{name}", s3_upload_mode="EndOfJob"
        ),
    )


def output_uri(step: Any, name: str) -> Any:
    """Return the S3 URI of an output of a processing step, as a pipeline variable."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def module_input(path: Path) -> Any:
    """Return the input for a module that a step's script imports.

    :param path: the module's file; it is uploaded as an asset.
    """
    return s3_input("modules", str(path), local_path=MODULES_PATH)
