"""Train a regression model, and register it if its error on unseen rows is low enough.

``sagemaker-pipelines compile`` turns this into ``dags/definitions/my-pipeline.json``. The scripts in
``steps/`` run in SageMaker's containers, or in the local runtime.
"""

from __future__ import annotations

from pathlib import Path

from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig
from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer

from sagemaker_compile.images import image_uri
from sagemaker_compile.job_data import execution_uri, output_uri, s3_input, s3_output
from sagemaker_compile.stand_ins import ROLE_ARN, artifact_uri, prefixed, scratch_folder

STEPS = Path(__file__).parent / "steps"
INSTANCE_TYPE = "ml.m5.xlarge"
OUTPUT = artifact_uri("my-pipeline", "executions")

input_data = ParameterString("InputData", default_value=artifact_uri("my-pipeline", "data", "train.csv"))
max_rmse = ParameterFloat("MaxRmse", default_value=10.0)
approval_status = ParameterString(
    "ModelApprovalStatus",
    default_value="PendingManualApproval",
    enum_values=["PendingManualApproval", "Approved", "Rejected"],
)


def build(session: PipelineSession) -> Pipeline:
    """Return the pipeline.

    :param session: the session that captures its steps.
    """
    prepare = prepare_step(session)
    train = train_step(session, prepare)
    report = PropertyFile("EvaluationReport", output_name="evaluation", path="evaluation.json")
    evaluate = evaluate_step(session, prepare, train, report)
    gate = gate_step(evaluate, report, register_step(session, train, evaluate))
    return Pipeline(
        prefixed("my-pipeline"),
        parameters=[input_data, max_rmse, approval_status],
        steps=[prepare, train, evaluate, gate],
        sagemaker_session=session,
    )


def processor(session: PipelineSession, image: str) -> ScriptProcessor:
    """Return what runs a script in one of SageMaker's containers."""
    return ScriptProcessor(
        role=ROLE_ARN,
        image_uri=image_uri(image),
        command=["python3"],
        instance_count=1,
        instance_type=INSTANCE_TYPE,
        sagemaker_session=session,
    )


def prepare_step(session: PipelineSession) -> ProcessingStep:
    """Split the rows into those to train with, to validate with and to test with."""
    return ProcessingStep(
        "Prepare",
        step_args=processor(session, "sklearn").run(
            code=str(STEPS / "prepare.py"),
            inputs=[s3_input("data", input_data)],
            outputs=[
                s3_output(name, execution_uri(OUTPUT, name)) for name in ("train", "validation", "test")
            ],
        ),
    )


def train_step(session: PipelineSession, prepare: ProcessingStep) -> TrainingStep:
    """Train with the built-in XGBoost algorithm."""
    trainer = ModelTrainer(
        role=ROLE_ARN,
        training_image=image_uri("xgboost"),
        compute=Compute(instance_type=INSTANCE_TYPE, instance_count=1, volume_size_in_gb=30),
        hyperparameters={"objective": "reg:squarederror", "num_round": 100, "max_depth": 3, "eta": 0.1},
        output_data_config=OutputDataConfig(s3_output_path=execution_uri(OUTPUT, "model")),
        sagemaker_session=session,
    )
    channels = [
        InputData(channel_name=name, data_source=output_uri(prepare, name), content_type="text/csv")
        for name in ("train", "validation")
    ]
    return TrainingStep("Train", step_args=trainer.train(input_data_config=channels))


def evaluate_step(
    session: PipelineSession, prepare: ProcessingStep, train: TrainingStep, report: PropertyFile
) -> ProcessingStep:
    """Measure the error on the test rows."""
    return ProcessingStep(
        "Evaluate",
        step_args=processor(session, "xgboost").run(
            code=str(STEPS / "evaluate.py"),
            inputs=[
                s3_input("model", train.properties.ModelArtifacts.S3ModelArtifacts),
                s3_input("test", output_uri(prepare, "test")),
            ],
            outputs=[s3_output("evaluation", execution_uri(OUTPUT, "evaluation"))],
        ),
        property_files=[report],
    )


def register_step(session: PipelineSession, train: TrainingStep, evaluate: ProcessingStep) -> ModelStep:
    """Register the model in the model package group of the pipeline."""
    builder = ModelBuilder(
        image_uri=image_uri("xgboost"),
        s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
        role_arn=ROLE_ARN,
        model_path=scratch_folder(),
        sagemaker_session=session,
    )
    # Built before it is registered, because register() alone would write a wrong container. Not a step.
    builder.build()
    return ModelStep(
        "Register",
        step_args=builder.register(
            model_package_group_name=prefixed("my-pipeline"),
            approval_status=approval_status,
            content_types=["text/csv"],
            response_types=["text/csv"],
            inference_instances=[INSTANCE_TYPE],
            transform_instances=[INSTANCE_TYPE],
            customer_metadata_properties={"evaluation": output_uri(evaluate, "evaluation")},
        ),
    )


def gate_step(evaluate: ProcessingStep, report: PropertyFile, register: ModelStep) -> ConditionStep:
    """Register a model whose error is at most MaxRmse; otherwise fail with a message."""
    error = JsonGet(step_name=evaluate.name, property_file=report, json_path="rmse.value")
    message = Join(on=" ", values=["The root mean squared error is above", max_rmse])
    return ConditionStep(
        "Gate",
        conditions=[ConditionLessThanOrEqualTo(left=error, right=max_rmse)],
        if_steps=[register],
        else_steps=[FailStep("Reject", error_message=message)],
    )
