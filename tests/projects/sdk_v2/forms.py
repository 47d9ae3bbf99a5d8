"""The steps that SDK v2 writes with a pipeline session; the definition is forms.json.

It shows in how many forms a definition names its code. Run it as pipeline.py says.
"""

# mypy: ignore-errors
# ruff: noqa: TID253
from __future__ import annotations

import os
import tempfile
from pathlib import Path

import boto3
from moto import mock_aws
from sagemaker.inputs import TrainingInput
from sagemaker.lambda_helper import Lambda
from sagemaker.model_monitor.dataset_format import DatasetFormat
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput
from sagemaker.pytorch import PyTorch
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner
from sagemaker.workflow.callback_step import CallbackStep
from sagemaker.workflow.check_job_config import CheckJobConfig
from sagemaker.workflow.emr_step import EMRStep, EMRStepConfig
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaStep
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterBoolean, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep
from sagemaker.workflow.retry import StepExceptionTypeEnum, StepRetryPolicy
from sagemaker.workflow.step_collections import RegisterModel
from sagemaker.workflow.steps import ProcessingStep, TrainingStep, TuningStep

REGION, ACCOUNT = "us-east-1", "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMaker"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
METRICS = [{"Name": "loss", "Regex": "loss=(.*)"}]


def build(session: PipelineSession, source: str) -> Pipeline:
    """Return a pipeline with one step of each kind."""
    instance = ParameterString("InstanceType", default_value="ml.m5.xlarge")
    skip = ParameterBoolean("SkipCheck", default_value=True)
    job = {
        "role": ROLE,
        "instance_type": "ml.m5.xlarge",
        "instance_count": 1,
        "sagemaker_session": session,
    }
    code = {"entry_point": "train.py", "source_dir": source}
    data = {"train": TrainingInput("s3://example-data/train")}
    sklearn = SKLearn(
        **{**job, "instance_type": instance},
        **code,
        framework_version="1.2-1",
        hyperparameters={"alpha": 0.1},
    )
    train = TrainingStep(
        "Train",
        step_args=sklearn.fit(data),
        retry_policies=[StepRetryPolicy(exception_types=[StepExceptionTypeEnum.THROTTLING], max_attempts=3)],
    )
    torch = PyTorch(
        **job,
        **code,
        framework_version="2.1",
        py_version="py310",
        use_spot_instances=True,
        max_run=3600,
        max_wait=7200,
        checkpoint_s3_uri="s3://example-data/checkpoints",
        metric_definitions=METRICS,
    )
    tuner = HyperparameterTuner(
        torch, "loss", {"lr": ContinuousParameter(0.1, 0.2)}, metric_definitions=METRICS, max_jobs=2
    )
    tune = TuningStep("Tune", step_args=tuner.fit(data))
    processor = FrameworkProcessor(estimator_cls=SKLearn, framework_version="1.2-1", **job)
    process = ProcessingStep(
        "Process",
        step_args=processor.run(
            code="train.py",
            source_dir=source,
            inputs=[ProcessingInput(source="s3://example-data/x", destination="/opt/ml/processing/input")],
            outputs=[ProcessingOutput(output_name="out", source="/opt/ml/processing/out")],
        ),
    )
    artifact = train.properties.ModelArtifacts.S3ModelArtifacts
    model = SKLearnModel(
        model_data=artifact, role=ROLE, framework_version="1.2-1", sagemaker_session=session, **code
    )
    package = {
        "content_types": ["text/csv"],
        "response_types": ["text/csv"],
        "inference_instances": ["ml.m5.large"],
        "transform_instances": ["ml.m5.large"],
        "model_package_group_name": "forms",
    }
    check = QualityCheckStep(
        "Check",
        check_job_config=CheckJobConfig(**job),
        quality_check_config=DataQualityCheckConfig(
            baseline_dataset="s3://example-data/baseline.csv",
            dataset_format=DatasetFormat.csv(header=False),
            output_s3_uri="s3://example-data/checks",
        ),
        skip_check=skip,
        register_new_baseline=skip,
        model_package_group_name="forms",
    )
    notify = LambdaStep(
        "Notify",
        lambda_func=Lambda(function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:notify"),
        inputs={"model": artifact},
        outputs=[LambdaOutput("answer")],
    )
    steps = [
        train,
        tune,
        process,
        ModelStep("Create", step_args=model.create(instance_type="ml.m5.large")),
        ModelStep("Register", step_args=model.register(**package, approval_status="Approved")),
        RegisterModel("Collection", estimator=sklearn, model_data=artifact, **package, **code),
        check,
        notify,
        CallbackStep(
            "Wait",
            sqs_queue_url=f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/steps",
            inputs={"model": artifact},
            outputs=[],
        ),
        EMRStep("Spark", "spark", "A step of Spark.", "j-12345", EMRStepConfig(jar="command-runner.jar")),
    ]
    return Pipeline("forms", parameters=[instance, skip], steps=steps, sagemaker_session=session)


@mock_aws
def main() -> None:
    """Write the definition."""
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION=REGION)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    with tempfile.TemporaryDirectory() as source:
        Path(source, "train.py").write_text("print('train')\n")
        session = PipelineSession(boto3.Session(region_name=REGION), default_bucket=BUCKET)
        Path(__file__).with_name("forms.json").write_text(build(session, source).definition())


if __name__ == "__main__":
    main()
