"""A user of SDK v3 in a process of its own: builds two jobs from a source folder, runs them in a pipeline.

Run by ``test_sdk.py`` with the endpoint in the environment; the arguments are bucket, role and source folder.
It prints the steps as JSON.
"""

from __future__ import annotations

import json
import sys

import boto3
from sagemaker.core.processing import FrameworkProcessor  # noqa: TID253 - it is the client under test
from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output  # noqa: TID253 - as above
from sagemaker.core.telemetry import telemetry_logging  # noqa: TID253 - as above
from sagemaker.core.workflow.pipeline_context import PipelineSession  # noqa: TID253 - as above
from sagemaker.mlops.workflow.pipeline import Pipeline  # noqa: TID253 - as above
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep  # noqa: TID253 - as above
from sagemaker.train import ModelTrainer  # noqa: TID253 - as above
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode  # noqa: TID253 - as above

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


def main(bucket: str, role: str, source: str) -> None:
    telemetry_logging._send_telemetry_request = lambda *_, **__: None
    session = PipelineSession(boto_session=boto3.Session(), default_bucket=bucket)
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=role,
        training_image=IMAGE,
        base_job_name="sdk",
        source_code=SourceCode(source_dir=source, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={"epochs": 4, "rate": 0.5},
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/models"),
        input_data_config=[InputData(channel_name="train", data_source=f"s3://{bucket}/data/")],
    )
    processor = FrameworkProcessor(
        image_uri=IMAGE,
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=session,
        command=["python3"],
    )
    output = ProcessingS3Output(
        s3_uri=f"s3://{bucket}/processed",
        local_path="/opt/ml/processing/output",
        s3_upload_mode="EndOfJob",
    )
    processing = processor.run(
        code="process.py",
        source_dir=source,
        arguments=["--scale", "3"],
        outputs=[ProcessingOutput(output_name="result", s3_output=output)],
    )
    steps = [
        TrainingStep(name="Train", step_args=trainer.train()),
        ProcessingStep(name="Process", step_args=processing),
    ]
    pipeline = Pipeline(name="sdk-scripts", steps=steps, sagemaker_session=session)
    pipeline.upsert(role)
    execution = pipeline.start()
    try:
        execution.wait(delay=1, max_attempts=300)
    finally:
        print(json.dumps(execution.list_steps(), default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
