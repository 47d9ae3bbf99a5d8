"""What the SageMaker SDK writes has no problem: the linter refuses nothing that SageMaker takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagemaker_compile.offline import offline_session
from sagemaker_compile.stand_ins import ROLE_ARN, artifact_uri
from sagemaker_pipelines.definition import lint
from tests.unit.definition.samples import MODEL

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"

# Building with the SDK takes its import, five seconds.
pytestmark = pytest.mark.thorough


def _build(steps: Any, tmp_path: Path) -> dict[str, Any]:
    with offline_session() as offline:
        from sagemaker.mlops.workflow.pipeline import Pipeline

        session = offline.session
        pipeline = Pipeline("sdk", steps=steps(session, tmp_path), sagemaker_session=session)
        definition: dict[str, Any] = json.loads(pipeline.definition())
    return definition


def _trainer(session: Any, tmp_path: Path) -> Any:
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, SourceCode

    (tmp_path / "train.py").write_text("print('train')\n")
    return ModelTrainer(
        role=ROLE_ARN,
        training_image=IMAGE,
        source_code=SourceCode(source_dir=str(tmp_path), entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=30),
        hyperparameters={"max_depth": 5},
        sagemaker_session=session,
    )


def _data() -> list[Any]:
    from sagemaker.train.configs import InputData

    return [InputData(channel_name="train", data_source=artifact_uri("train"))]


def script_mode_training(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.mlops.workflow.steps import TrainingStep

    trainer = _trainer(session, tmp_path)
    return [TrainingStep("Train", step_args=trainer.train(input_data_config=_data()))]


def tuning(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.core.parameter import ContinuousParameter
    from sagemaker.mlops.workflow.steps import TuningStep
    from sagemaker.train.tuner import HyperparameterTuner

    tuner = HyperparameterTuner(
        model_trainer=_trainer(session, tmp_path),
        objective_metric_name="rmse",
        hyperparameter_ranges={"eta": ContinuousParameter(0.1, 0.5)},
        metric_definitions=[{"Name": "rmse", "Regex": "rmse=(.*)"}],
        objective_type="Minimize",
        max_jobs=2,
        max_parallel_jobs=1,
    )
    return [TuningStep("Tune", step_args=tuner.tune(inputs=_data()))]


def framework_processing(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.core.processing import FrameworkProcessor
    from sagemaker.mlops.workflow.steps import ProcessingStep

    (tmp_path / "process.py").write_text("print('process')\n")
    processor = FrameworkProcessor(
        image_uri=IMAGE,
        role=ROLE_ARN,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        sagemaker_session=session,
    )
    return [ProcessingStep("Process", step_args=processor.run(code="process.py", source_dir=str(tmp_path)))]


def quality_check(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
    from sagemaker.mlops.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep

    return [
        QualityCheckStep(
            "Check",
            quality_check_config=DataQualityCheckConfig(
                baseline_dataset=artifact_uri("data.csv"),
                dataset_format={"csv": {"header": False}},
                output_s3_uri=artifact_uri("check"),
            ),
            check_job_config=CheckJobConfig(role=ROLE_ARN, sagemaker_session=session),
        )
    ]


def clarify_check(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.core.clarify import BiasConfig, DataConfig
    from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
    from sagemaker.mlops.workflow.clarify_check_step import ClarifyCheckStep, DataBiasCheckConfig

    data = DataConfig(
        s3_data_input_path=artifact_uri("data.csv"),
        s3_output_path=artifact_uri("bias"),
        label=0,
        dataset_type="text/csv",
    )
    bias = BiasConfig(label_values_or_threshold=[1], facet_name="f")
    return [
        ClarifyCheckStep(
            "Bias",
            clarify_check_config=DataBiasCheckConfig(data_config=data, data_bias_config=bias),
            check_job_config=CheckJobConfig(role=ROLE_ARN, sagemaker_session=session),
        )
    ]


def a_decorated_function(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.mlops.workflow.function_step import step

    def half(value: int) -> float:
        return value / 2

    return [step(half, name="Half", role=ROLE_ARN, instance_type="ml.m5.large", image_uri=IMAGE)(1)]


def endpoint_and_lineage(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.core.lineage.context import Context
    from sagemaker.mlops.workflow.endpoint_step import EndpointConfigStep, EndpointStep
    from sagemaker.mlops.workflow.lineage_step import LineageStep

    variant = {
        "ModelName": "m",
        "VariantName": "v",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    config = EndpointConfigStep(
        "Config", step_args=session.create_endpoint_config(name="c", production_variants=[variant])
    )
    created = session.create_endpoint(endpoint_name="e", config_name=config.properties.EndpointConfigName)
    context = Context.create(
        context_name="c", source_uri=artifact_uri("k"), context_type="t", sagemaker_session=session
    )
    return [config, EndpointStep("Endpoint", step_args=created), LineageStep("Trace", contexts=context)]


def for_each(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.mlops.workflow.for_each_step import ForEachStep

    body = framework_processing(session, tmp_path)
    return [ForEachStep("Each", iterable_items=["a", "b"], for_each_body=body, max_concurrency=2)]


def steps_without_a_call(session: Any, tmp_path: Path) -> list[Any]:
    from sagemaker.core.lambda_helper import Lambda
    from sagemaker.core.workflow.conditions import ConditionEquals
    from sagemaker.mlops.workflow.callback_step import CallbackStep
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.emr_step import EMRStep, EMRStepConfig
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.lambda_step import LambdaStep

    function = Lambda(function_arn="arn:aws:lambda:us-east-1:000000000000:function:f", session=session)
    return [
        CallbackStep("Ask", sqs_queue_url="https://sqs/queue", inputs={"n": 1}, outputs=[]),
        LambdaStep("Call", lambda_func=function, inputs={"deep": {"a": [1]}}),
        EMRStep("Spark", "Spark", "Run it", "j-1", EMRStepConfig(jar="s3://b/a.jar", args=["x"])),
        ConditionStep(
            "If",
            conditions=[ConditionEquals(left=1, right=1)],
            else_steps=[FailStep("No", error_message="no")],
        ),
    ]


@pytest.mark.parametrize(
    "steps",
    [
        script_mode_training,
        a_decorated_function,
        tuning,
        framework_processing,
        quality_check,
        clarify_check,
        endpoint_and_lineage,
        for_each,
        steps_without_a_call,
    ],
    ids=lambda steps: steps.__name__,
)
def test_what_the_sdk_writes_has_no_problem(steps: Any, tmp_path: Path) -> None:
    assert lint(_build(steps, tmp_path), MODEL) == []
