"""Score raw rows with a registered model package, and check that every row has its prediction."""

from __future__ import annotations

from pathlib import Path

# ruff: noqa: TID253 - this module is SDK objects and nothing else
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.resources import Model
from sagemaker.core.shapes import ContainerDefinition
from sagemaker.core.transformer import Transformer
from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TransformStep
from sagemaker.serve.model_builder import ModelBuilder

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
from sagemaker_compile.transform_step import ScalableTransformStep

STEPS = Path(__file__).parent / "steps"
FEATURE_TRANSFORM = Path(__file__).parent.parent / "container" / "feature_transform.py"
INSTANCE_TYPE = "ml.m5.xlarge"

model_package_arn = ParameterString("ModelPackageArn")
batch_data = ParameterString(
    "BatchData", default_value=artifact_uri("abalone", "data", "holdout", "holdout.csv")
)
output_prefix = ParameterString("OutputPrefix", default_value=artifact_uri("scoring", "output"))
transform_instance_type = ParameterString("TransformInstanceType", default_value=INSTANCE_TYPE)
transform_instance_count = ParameterInteger("TransformInstanceCount", default_value=1)


def build(session: PipelineSession) -> Pipeline:
    """Return the pipeline.

    :param session: the session that captures its steps.
    """
    features = features_step(session)
    create = create_model_step(session)
    transform = transform_step(session, features, create)
    counts = PropertyFile("ScoringReport", output_name="report", path="report.json")
    report = report_step(session, transform, counts)
    return Pipeline(
        prefixed("scoring"),
        parameters=[
            model_package_arn,
            batch_data,
            output_prefix,
            transform_instance_type,
            transform_instance_count,
        ],
        steps=[features, create, transform, report, complete_step(report, counts)],
        sagemaker_session=session,
    )


def processor(session: PipelineSession) -> ScriptProcessor:
    """Return the processor that runs the scripts of this pipeline."""
    return ScriptProcessor(
        role=ROLE_ARN,
        image_uri=image_uri("sklearn"),
        command=["python3"],
        instance_count=1,
        instance_type=INSTANCE_TYPE,
        env={"PYTHONPATH": MODULES_PATH},
        sagemaker_session=session,
    )


def features_step(session: PipelineSession) -> ProcessingStep:
    """Apply the transform that the model package records, which is known only when the job runs."""
    return ProcessingStep(
        "ScoringFeatures",
        step_args=processor(session).run(
            code=str(STEPS / "apply_transform.py"),
            arguments=["--model-package-arn", model_package_arn],
            inputs=[s3_input("batch", batch_data), module_input(FEATURE_TRANSFORM)],
            outputs=[s3_output("features", execution_uri(artifact_uri("scoring", "executions"), "features"))],
        ),
    )


def create_model_step(session: PipelineSession) -> ModelStep:
    """Create a model resource from the package."""
    model = Model(
        model_name="scoring", containers=[ContainerDefinition(model_package_name=model_package_arn)]
    )
    builder = ModelBuilder(
        model=[model], role_arn=ROLE_ARN, model_path=scratch_folder(), sagemaker_session=session
    )
    return ModelStep("ScoringCreateModel", step_args=builder.build())


def transform_step(session: PipelineSession, features: ProcessingStep, create: ModelStep) -> TransformStep:
    """Predict one line for each row."""
    transformer = Transformer(
        model_name=create.properties.ModelName,
        instance_count=1,
        instance_type=transform_instance_type,
        strategy="MultiRecord",
        assemble_with="Line",
        accept="text/csv",
        output_path=Join(on="/", values=[output_prefix, "predictions"]),
        sagemaker_session=session,
    )
    return ScalableTransformStep(
        "ScoringTransform",
        step_args=transformer.transform(
            data=output_uri(features, "features"), content_type="text/csv", split_type="Line"
        ),
        instance_count=transform_instance_count,
    )


def report_step(session: PipelineSession, transform: TransformStep, counts: PropertyFile) -> ProcessingStep:
    """Count rows in and out and describe the predictions."""
    predictions = transform.properties.TransformOutput.S3OutputPath
    return ProcessingStep(
        "ScoringReport",
        step_args=processor(session).run(
            code=str(STEPS / "report.py"),
            arguments=["--model-package-arn", model_package_arn, "--predictions-uri", predictions],
            inputs=[
                s3_input("batch", batch_data),
                s3_input("predictions", predictions),
                module_input(FEATURE_TRANSFORM),
            ],
            outputs=[s3_output("report", Join(on="/", values=[output_prefix, "report"]))],
        ),
        property_files=[counts],
    )


def complete_step(report: ProcessingStep, counts: PropertyFile) -> ConditionStep:
    """Fail if a row has no prediction."""
    return ConditionStep(
        "ScoringRowsCond",
        conditions=[
            # rows_in == rows_out, as one value of the report and a constant, the form that a gate has.
            ConditionEquals(
                left=JsonGet(step_name=report.name, property_file=counts, json_path="rows_missing"), right=0
            )
        ],
        if_steps=[],
        else_steps=[
            FailStep(
                "ScoringRowsFail",
                error_message=Join(
                    on="",
                    values=[
                        "Rows are missing from the predictions: see ",
                        output_prefix,
                        "/report/report.json",
                    ],
                ),
            )
        ],
    )
