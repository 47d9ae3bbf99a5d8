"""Build a pipeline with Lambda steps by SDK v3, deploy it with its function, and print the definition.

Usage: lambda_client.py PIPELINE ROLE SCRIPT
"""

from __future__ import annotations

import sys


def main(name: str, role: str, script: str) -> None:
    from sagemaker.core.lambda_helper import Lambda
    from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
    from sagemaker.core.workflow.parameters import ParameterInteger
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import CacheConfig

    count = ParameterInteger("Count", default_value=2)
    function = Lambda(
        function_name="double",
        execution_role_arn=role,
        script=script,
        handler="double.run",
        session=PipelineSession(),
    )
    double = LambdaStep(
        "Double",
        lambda_func=function,
        inputs={"count": count, "plain": [1, {"a": None}]},
        outputs=[
            LambdaOutput("doubled", LambdaOutputTypeEnum.Integer),
            LambdaOutput("share", LambdaOutputTypeEnum.Float),
            LambdaOutput("seen", LambdaOutputTypeEnum.String),
            LambdaOutput("fine", LambdaOutputTypeEnum.Boolean),
        ],
        cache_config=CacheConfig(enable_caching=True, expire_after="PT1H"),
    )
    again = LambdaStep(
        "Again",
        lambda_func=function,
        inputs={"count": double.properties.Outputs["doubled"], "plain": 0},
        outputs=[LambdaOutput("doubled", LambdaOutputTypeEnum.Integer)],
    )
    gate = ConditionStep(
        "Gate",
        conditions=[ConditionGreaterThanOrEqualTo(left=double.properties.Outputs["doubled"], right=4)],
        if_steps=[again],
        else_steps=[FailStep("Reject", error_message="too few")],
    )
    Pipeline(name=name, parameters=[count], steps=[double, gate]).upsert(role)


if __name__ == "__main__":
    main(*sys.argv[1:])
