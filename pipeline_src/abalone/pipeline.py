"""Train a model that predicts the rings of abalone, register it when its error is low enough, and try it out.

After the example of https://docs.aws.amazon.com/sagemaker/latest/dg/define-pipeline.html.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# ruff: noqa: TID253 - this module is SDK objects and nothing else
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig
from sagemaker.core.transformer import Transformer
from sagemaker.core.workflow.conditions import ConditionEquals, ConditionLessThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep, TransformStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer

from sagemaker_compile.images import image_uri
from sagemaker_compile.job_data import (
    MODULES_PATH,
    execution_uri,
    module_input,
    output_uri,
    s3_input,
    s3_output,
)
from sagemaker_compile.stand_ins import ROLE_ARN, artifact_uri, prefixed, scratch_folder

STEPS = Path(__file__).parent / "steps"
FEATURE_TRANSFORM = Path(__file__).parent.parent / "container" / "feature_transform.py"
INSTANCE_TYPE = "ml.m5.xlarge"
SEED = 2026

processing_instance_count = ParameterInteger("ProcessingInstanceCount", default_value=1)
training_instance_type = ParameterString("TrainingInstanceType", default_value=INSTANCE_TYPE)
model_approval_status = ParameterString(
    "ModelApprovalStatus",
    default_value="PendingManualApproval",
    enum_values=["PendingManualApproval", "Approved", "Rejected"],
)
input_data = ParameterString(
    "InputData", default_value=artifact_uri("abalone", "data", "train", "abalone.csv")
)
batch_data = ParameterString(
    "BatchData", default_value=artifact_uri("abalone", "data", "holdout", "holdout.csv")
)
output_prefix = ParameterString("OutputPrefix", default_value=artifact_uri("abalone", "executions"))
mse_threshold = ParameterFloat("MseThreshold", default_value=6.0)
register_model = ParameterString("RegisterModel", default_value="true", enum_values=["true", "false"])


def build(session: PipelineSession) -> Pipeline:
    """Return the pipeline.

    :param session: the session that captures its steps.
    """
    process = process_step(session)
    train = train_step(session, process)
    report = PropertyFile("EvaluationReport", output_name="evaluation", path="evaluation.json")
    evaluate = evaluate_step(session, process, train, report)
    create, register = model_steps(session, process, train, evaluate)
    registration = registration_step([register, create, transform_step(session, process, create)])
    return Pipeline(
        prefixed("abalone"),
        parameters=[
            processing_instance_count,
            training_instance_type,
            model_approval_status,
            input_data,
            batch_data,
            output_prefix,
            mse_threshold,
            register_model,
        ],
        steps=[process, train, evaluate, gate_step(evaluate, report, registration)],
        sagemaker_session=session,
    )


def process_step(session: PipelineSession) -> ProcessingStep:
    """Impute, scale and one-hot encode; split 70/15/15."""
    processor = ScriptProcessor(
        role=ROLE_ARN,
        image_uri=image_uri("sklearn"),
        command=["python3"],
        instance_count=processing_instance_count,
        instance_type=INSTANCE_TYPE,
        env={"PYTHONPATH": MODULES_PATH},
        sagemaker_session=session,
    )
    outputs = ("train", "validation", "test", "feature_transform", "batch")
    return ProcessingStep(
        "AbaloneProcess",
        step_args=processor.run(
            code=str(STEPS / "preprocess.py"),
            arguments=["--seed", str(SEED)],
            inputs=[
                s3_input("data", input_data),
                s3_input("batch", batch_data),
                module_input(FEATURE_TRANSFORM),
            ],
            outputs=[s3_output(name, execution_uri(output_prefix, name)) for name in outputs],
        ),
    )


def train_step(session: PipelineSession, process: ProcessingStep) -> TrainingStep:
    """Train xgboost in algorithm mode."""
    trainer = ModelTrainer(
        role=ROLE_ARN,
        training_image=image_uri("xgboost"),
        compute=Compute(instance_type=training_instance_type, instance_count=1, volume_size_in_gb=30),
        hyperparameters={
            "objective": "reg:squarederror",
            "num_round": 50,
            "max_depth": 5,
            "eta": 0.2,
            "gamma": 4,
            "min_child_weight": 6,
            "subsample": 0.7,
            "seed": SEED,
        },
        output_data_config=OutputDataConfig(s3_output_path=execution_uri(output_prefix, "model")),
        sagemaker_session=session,
    )
    channels = [
        InputData(channel_name=name, data_source=output_uri(process, name), content_type="text/csv")
        for name in ("train", "validation")
    ]
    return TrainingStep("AbaloneTrain", step_args=trainer.train(input_data_config=channels))


def evaluate_step(
    session: PipelineSession, process: ProcessingStep, train: TrainingStep, report: PropertyFile
) -> ProcessingStep:
    """Score the test split and report its mean squared error."""
    processor = ScriptProcessor(
        role=ROLE_ARN,
        image_uri=image_uri("xgboost"),
        command=["python3"],
        instance_count=1,
        instance_type=INSTANCE_TYPE,
        sagemaker_session=session,
    )
    return ProcessingStep(
        "AbaloneEval",
        step_args=processor.run(
            code=str(STEPS / "evaluate.py"),
            inputs=[
                s3_input("model", train.properties.ModelArtifacts.S3ModelArtifacts),
                s3_input("test", output_uri(process, "test")),
            ],
            outputs=[s3_output("evaluation", execution_uri(output_prefix, "evaluation"))],
        ),
        property_files=[report],
    )


def model_steps(
    session: PipelineSession, process: ProcessingStep, train: TrainingStep, evaluate: ProcessingStep
) -> tuple[ModelStep, ModelStep]:
    """Return the steps that create the model resource and register the model package."""
    builder = ModelBuilder(
        image_uri=image_uri("xgboost"),
        s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
        role_arn=ROLE_ARN,
        model_path=scratch_folder(),
        sagemaker_session=session,
    )
    # Built before it is registered: register() alone would write a stand-in, the region, into the container.
    create = ModelStep("AbaloneCreateModel", step_args=builder.build())
    report_uri = Join(on="/", values=[output_uri(evaluate, "evaluation"), "evaluation.json"])
    transform_uri = Join(on="/", values=[output_uri(process, "feature_transform"), "transform.json"])
    register = ModelStep(
        "AbaloneRegisterModel",
        step_args=builder.register(
            model_package_group_name=prefixed("abalone"),
            approval_status=model_approval_status,
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=["ml.t2.medium", "ml.m5.large", INSTANCE_TYPE],
            transform_instances=["ml.m5.large", INSTANCE_TYPE],
            model_metrics=ModelMetrics(model_statistics=MetricsSource("application/json", report_uri)),
            # The scoring pipeline applies this to raw rows.
            customer_metadata_properties={"feature_transform": transform_uri},
        ),
    )
    return create, register


def transform_step(session: PipelineSession, process: ProcessingStep, create: ModelStep) -> TransformStep:
    """Score the transformed BatchData with the new model."""
    transformer = Transformer(
        model_name=create.properties.ModelName,
        instance_count=1,
        instance_type=INSTANCE_TYPE,
        strategy="MultiRecord",
        assemble_with="Line",
        accept="text/csv",
        output_path=execution_uri(output_prefix, "transform"),
        sagemaker_session=session,
    )
    return TransformStep(
        "AbaloneTransform",
        step_args=transformer.transform(
            data=output_uri(process, "batch"), content_type="text/csv", split_type="Line"
        ),
    )


def registration_step(steps: list[Any]) -> ConditionStep:
    """Register and try out a model that passed the gate, unless the execution only trains and evaluates."""
    return ConditionStep(
        "AbaloneRegisterCond",
        conditions=[ConditionEquals(left=register_model, right="true")],
        if_steps=steps,
        else_steps=[],
    )


def gate_step(evaluate: ProcessingStep, report: PropertyFile, registration: ConditionStep) -> ConditionStep:
    """Pass a model whose mean squared error is at most the threshold; otherwise fail with a message."""
    return ConditionStep(
        "AbaloneMSECond",
        conditions=[
            ConditionLessThanOrEqualTo(
                left=JsonGet(
                    step_name=evaluate.name, property_file=report, json_path="regression_metrics.mse.value"
                ),
                right=mse_threshold,
            )
        ],
        if_steps=[registration],
        else_steps=[
            FailStep(
                "AbaloneMSEFail",
                error_message=Join(on=" ", values=["Execution failed due to MSE >", mse_threshold]),
            )
        ],
    )
