"""Tune a model of the rings of abalone, check the quality of the best one, and deploy it to an endpoint.

A Lambda function tries the endpoint out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# ruff: noqa: TID253 - this module is SDK objects and nothing else
from sagemaker.core.drift_check_baselines import DriftCheckBaselines
from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.parameter import ContinuousParameter, IntegerParameter
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig
from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import (
    ParameterBoolean,
    ParameterFloat,
    ParameterString,
)
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.endpoint_step import EndpointConfigStep, EndpointStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.quality_check_step import ModelQualityCheckConfig, QualityCheckStep
from sagemaker.mlops.workflow.steps import ProcessingStep, TuningStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

from pipeline_src.abalone.pipeline import (
    INSTANCE_TYPE,
    SEED,
    batch_data,
    input_data,
    process_step,
    processing_instance_count,
)
from sagemaker_compile.images import image_uri
from sagemaker_compile.job_data import (
    MODULES_PATH,
    execution_uri,
    module_input,
    output_uri,
    s3_input,
    s3_output,
)
from sagemaker_compile.stand_ins import ARTIFACT_BUCKET, ROLE_ARN, artifact_uri, prefixed, scratch_folder

STEPS = Path(__file__).parent / "steps"
EVALUATE = Path(__file__).parent.parent / "abalone" / "steps" / "evaluate.py"
# Below the artifact bucket; TopPerformingTrainingJobs names no bucket and no prefix.
MODELS = artifact_uri("abalone-tuned", "models").removeprefix(f"s3://{ARTIFACT_BUCKET}/")
# Seven measurements and three sexes.
FEATURES = 10
# The SDK takes no parameter here.
MAX_TRAINING_JOBS = 4

model_approval_status = ParameterString(
    "ModelApprovalStatus", default_value="Approved", enum_values=["PendingManualApproval", "Approved"]
)
output_prefix = ParameterString("OutputPrefix", default_value=artifact_uri("abalone", "executions"))
rmse_threshold = ParameterFloat("RmseThreshold", default_value=2.5)
skip_check = ParameterBoolean("SkipQualityCheck", default_value=False)
register_new_baseline = ParameterBoolean("RegisterNewBaseline", default_value=False)


def build(session: PipelineSession) -> Pipeline:
    """Return the pipeline.

    :param session: the session that captures its steps.
    """
    process = process_step(session)
    tune = tune_step(session, process)
    best_model = tune.get_top_model_s3_uri(0, ARTIFACT_BUCKET, MODELS)
    predict = predict_step(session, process, best_model)
    check = check_step(session, predict)
    register, create = model_steps(session, best_model, check)
    deployed = [predict, check, register, create, *endpoint_steps(session, create, register)]
    return Pipeline(
        prefixed("abalone-tuned"),
        parameters=[
            processing_instance_count,
            model_approval_status,
            input_data,
            batch_data,
            output_prefix,
            rmse_threshold,
            skip_check,
            register_new_baseline,
        ],
        steps=[process, tune, gate_step(tune, deployed)],
        sagemaker_session=session,
    )


def tune_step(session: PipelineSession, process: ProcessingStep) -> TuningStep:
    """Search for the hyperparameters with the lowest error on the validation split."""
    trainer = ModelTrainer(
        role=ROLE_ARN,
        training_image=image_uri("xgboost"),
        compute=Compute(instance_type=INSTANCE_TYPE, instance_count=1, volume_size_in_gb=30),
        hyperparameters={"objective": "reg:squarederror", "num_round": 50, "subsample": 0.7, "seed": SEED},
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{ARTIFACT_BUCKET}/{MODELS}"),
        sagemaker_session=session,
    )
    tuner = HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name="validation:rmse",
        objective_type="Minimize",
        hyperparameter_ranges={
            "eta": ContinuousParameter(0.05, 0.4),
            "max_depth": IntegerParameter(3, 8),
            "min_child_weight": IntegerParameter(1, 10),
        },
        max_jobs=MAX_TRAINING_JOBS,
        max_parallel_jobs=2,
        random_seed=SEED,
    )
    channels = [
        InputData(channel_name=name, data_source=output_uri(process, name), content_type="text/csv")
        for name in ("train", "validation")
    ]
    return TuningStep("AbaloneTune", step_args=tuner.tune(inputs=channels))


def predict_step(session: PipelineSession, process: ProcessingStep, best_model: Any) -> ProcessingStep:
    """Predict the test split."""
    processor = ScriptProcessor(
        role=ROLE_ARN,
        image_uri=image_uri("xgboost"),
        command=["python3"],
        instance_count=1,
        instance_type=INSTANCE_TYPE,
        env={"PYTHONPATH": MODULES_PATH},
        sagemaker_session=session,
    )
    return ProcessingStep(
        "AbalonePredict",
        step_args=processor.run(
            code=str(STEPS / "predict.py"),
            inputs=[
                s3_input("model", best_model),
                s3_input("test", output_uri(process, "test")),
                module_input(EVALUATE),
            ],
            outputs=[s3_output("predictions", execution_uri(output_prefix, "predictions"))],
        ),
    )


def check_step(session: PipelineSession, predict: ProcessingStep) -> QualityCheckStep:
    """Compare the errors with those of the last approved model of the group."""
    return QualityCheckStep(
        "AbaloneQualityCheck",
        quality_check_config=ModelQualityCheckConfig(
            baseline_dataset=output_uri(predict, "predictions"),
            dataset_format={"csv": {"header": True, "output_columns_position": "START"}},
            output_s3_uri=execution_uri(output_prefix, "quality"),
            problem_type="Regression",
            inference_attribute="prediction",
            ground_truth_attribute="rings",
        ),
        check_job_config=CheckJobConfig(
            role=ROLE_ARN, instance_count=1, instance_type=INSTANCE_TYPE, sagemaker_session=session
        ),
        skip_check=skip_check,
        register_new_baseline=register_new_baseline,
        model_package_group_name=prefixed("abalone-tuned"),
    )


def model_steps(
    session: PipelineSession, best_model: Any, check: QualityCheckStep
) -> tuple[ModelStep, ModelStep]:
    """Return the steps that register the model package, with its baseline, and create the model resource."""
    builder = ModelBuilder(
        image_uri=image_uri("xgboost"),
        s3_model_data_url=best_model,
        role_arn=ROLE_ARN,
        model_path=scratch_folder(),
        sagemaker_session=session,
    )
    baseline = check.properties
    # Built before it is registered: register() alone would write a stand-in, the region, into the container.
    create = ModelStep("AbaloneCreateModel", step_args=builder.build())
    register = ModelStep(
        "AbaloneRegisterModel",
        step_args=builder.register(
            model_package_group_name=prefixed("abalone-tuned"),
            approval_status=model_approval_status,
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=["ml.t2.medium", INSTANCE_TYPE],
            transform_instances=[INSTANCE_TYPE],
            model_metrics=ModelMetrics(
                model_statistics=_source(baseline.CalculatedBaselineStatistics),
                model_constraints=_source(baseline.CalculatedBaselineConstraints),
            ),
            drift_check_baselines=DriftCheckBaselines(
                model_statistics=_source(baseline.BaselineUsedForDriftCheckStatistics),
                model_constraints=_source(baseline.BaselineUsedForDriftCheckConstraints),
            ),
        ),
    )
    return register, create


def endpoint_steps(session: PipelineSession, create: ModelStep, register: ModelStep) -> list[Any]:
    """Return the steps that deploy the model and try it out."""
    endpoint_name = prefixed("abalone-tuned")
    variant = {
        "VariantName": "all",
        "ModelName": create.properties.ModelName,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    config = EndpointConfigStep(
        "AbaloneEndpointConfig",
        step_args=session.create_endpoint_config(name=endpoint_name, production_variants=[variant]),
        depends_on=[register],
    )
    endpoint = EndpointStep(
        "AbaloneEndpoint",
        step_args=session.create_endpoint(
            endpoint_name=endpoint_name, config_name=config.properties.EndpointConfigName
        ),
    )
    smoke_test = LambdaStep(
        "AbaloneSmokeTest",
        lambda_func=Lambda(
            function_name=prefixed("abalone-smoke-test"),
            execution_role_arn=ROLE_ARN,
            script=str(STEPS / "smoke_test.py"),
            handler="smoke_test.handler",
            runtime="python3.13",
            timeout=60,
            session=session,
        ),
        inputs={"Endpoint": endpoint.properties.EndpointName, "Features": FEATURES},
        outputs=[LambdaOutput("Rings", LambdaOutputTypeEnum.Float)],
    )
    return [config, endpoint, smoke_test]


def gate_step(tune: TuningStep, deployed: list[Any]) -> ConditionStep:
    """Pass a model whose error is at most the threshold; otherwise fail with a message."""
    best = tune.properties.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value
    return ConditionStep(
        "AbaloneRMSECond",
        conditions=[ConditionLessThanOrEqualTo(left=best, right=rmse_threshold)],
        if_steps=deployed,
        else_steps=[
            FailStep(
                "AbaloneRMSEFail",
                error_message=Join(on=" ", values=["Execution failed due to RMSE >", rmse_threshold]),
            )
        ],
    )


def _source(uri: Any) -> MetricsSource:
    return MetricsSource("application/json", uri)
