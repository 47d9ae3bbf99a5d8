"""Where the jobs of a pipeline find and leave their data.

A processing input or output called ``train`` is at ``/opt/ml/processing/{input,output}/train``.
Everything that an execution writes is below one prefix of its own.
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

#: Modules that step scripts import; each is an input of its own, found through PYTHONPATH.
CONTAINER_MODULES = Path(__file__).parent.parent / "pipeline_src" / "container"
MODULES_PATH = "/opt/ml/processing/input/modules"


def execution_uri(prefix: Any, *parts: str) -> Any:
    """Return an S3 URI below the prefix of the running execution.

    :param prefix: S3 URI or pipeline variable below which each execution has a prefix of its own.
    :param parts: the path below the execution's prefix.
    """
    return Join(on="/", values=[prefix, ExecutionVariables.PIPELINE_EXECUTION_ID, *parts])


def s3_input(name: str, uri: Any, *, local_path: str | None = None) -> Any:
    """Return a processing input.

    :param name: its name, and its folder below ``/opt/ml/processing/input``.
    :param uri: an S3 prefix or a pipeline variable; a path of this machine is uploaded as an asset.
    :param local_path: another folder in the container.
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
    :param uri: where it goes: an S3 URI or a pipeline variable.
    """
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(
            s3_uri=uri, local_path=f"/opt/ml/processing/output/{name}", s3_upload_mode="EndOfJob"
        ),
    )


def module_input(name: str) -> Any:
    """Return the input that gives a step's script a module of ``pipeline_src/container``."""
    return s3_input("modules", str(CONTAINER_MODULES / f"{name}.py"), local_path=MODULES_PATH)
