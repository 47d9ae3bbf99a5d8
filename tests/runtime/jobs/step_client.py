"""A user of ``@step``: deploys a pipeline of functions with SDK v3, in a process of its own.

Run by ``test_step_functions.py`` with the endpoint in the environment; the arguments are the pipeline's name,
the role, the image, a bucket and the requirements file, which names the package ``words``.
"""

from __future__ import annotations

import sys
from typing import Any

from sagemaker.core.telemetry import telemetry_logging  # noqa: TID253 - it is the client under test
from sagemaker.core.workflow.conditions import ConditionGreaterThan  # noqa: TID253 - as above
from sagemaker.core.workflow.parameters import ParameterInteger  # noqa: TID253 - as above
from sagemaker.mlops.workflow.condition_step import ConditionStep  # noqa: TID253 - as above
from sagemaker.mlops.workflow.fail_step import FailStep  # noqa: TID253 - as above
from sagemaker.mlops.workflow.function_step import step  # noqa: TID253 - as above
from sagemaker.mlops.workflow.pipeline import Pipeline  # noqa: TID253 - as above


def main(name: str, role: str, image: str, bucket: str, requirements: str) -> None:
    telemetry_logging._send_telemetry_request = lambda *_, **__: None
    job: dict[str, Any] = {
        "instance_type": "ml.m5.large",
        "image_uri": image,
        "role": role,
        "dependencies": requirements or None,
    }

    @step(name="Make", **job)  # type: ignore[untyped-decorator]
    def make(count: int) -> dict[str, Any]:
        if count > 90:
            import time

            time.sleep(3600)
        version = None
        if requirements:
            import words  # type: ignore[import-not-found]

            version = words.VERSION
        return {"value": 2 * count, "rows": [count] * count, "version": version}

    @step(name="Add", **job)  # type: ignore[untyped-decorator]
    def add(made: dict[str, Any], more: int) -> int:
        import boto3

        found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="many-rows-are-fine")
        if len(made["rows"]) > 5 and not found["KeyCount"]:
            raise ValueError("too many rows")
        return int(made["value"]) + more

    count = ParameterInteger("Count", default_value=3)
    made = make(count)
    gate = ConditionStep(
        "Gate",
        conditions=[ConditionGreaterThan(left=made["value"], right=4)],
        if_steps=[add(made, 1)],
        else_steps=[FailStep("Reject", error_message="too small")],
    )
    Pipeline(name, parameters=[count], steps=[gate]).upsert(role)


if __name__ == "__main__":
    main(*sys.argv[1:])
