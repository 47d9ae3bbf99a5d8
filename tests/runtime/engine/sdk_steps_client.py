"""A user of SDK v3 in a process of its own: a Tuning, a ForEach and a Cleanup step in one pipeline.

Run by ``test_sdk_steps.py`` with the endpoint in the environment; the arguments are bucket, role and source
folder. It prints the steps as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3
from sagemaker.core.parameter import ContinuousParameter  # noqa: TID253 - it is the client under test
from sagemaker.core.processing import ScriptProcessor  # noqa: TID253 - as above
from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output  # noqa: TID253 - as above
from sagemaker.core.telemetry import telemetry_logging  # noqa: TID253 - as above
from sagemaker.core.workflow.functions import Join  # noqa: TID253 - as above
from sagemaker.core.workflow.pipeline_context import PipelineSession  # noqa: TID253 - as above
from sagemaker.mlops.workflow.cleanup_step import CleanupStep, S3CleanupSource  # noqa: TID253 - as above
from sagemaker.mlops.workflow.fail_step import FailStep  # noqa: TID253 - as above
from sagemaker.mlops.workflow.for_each_step import (  # noqa: TID253 - as above
    CurrentItem,
    ForEachSelector,
    ForEachStep,
    IterationOutput,
)
from sagemaker.mlops.workflow.pipeline import Pipeline  # noqa: TID253 - as above
from sagemaker.mlops.workflow.steps import ProcessingStep, TuningStep  # noqa: TID253 - as above
from sagemaker.train import ModelTrainer  # noqa: TID253 - as above
from sagemaker.train.configs import Compute, OutputDataConfig, SourceCode  # noqa: TID253 - as above
from sagemaker.train.tuner import HyperparameterTuner  # noqa: TID253 - as above

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


def tuning(session: PipelineSession, bucket: str, role: str, source: str) -> TuningStep:
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=role,
        training_image=IMAGE,
        base_job_name="sdk",
        source_code=SourceCode(source_dir=source, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={"epochs": 4},
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/models"),
    )
    tuner = HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name="loss",
        objective_type="Minimize",
        hyperparameter_ranges={"rate": ContinuousParameter(0.1, 0.5)},
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        strategy="Random",
        random_seed=5,
        max_jobs=3,
        max_parallel_jobs=2,
    )
    return TuningStep("Tune", step_args=tuner.tune())


def processing(name: str, session: PipelineSession, role: str, source: str, uri: Any, rank: Any) -> Any:
    processor = ScriptProcessor(
        image_uri=IMAGE,
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=session,
        command=["python3"],
        env={"RANK": rank},
    )
    output = ProcessingS3Output(s3_uri=uri, local_path="/opt/ml/processing/output", s3_upload_mode="EndOfJob")
    arguments = processor.run(
        code=f"{source}/process.py", outputs=[ProcessingOutput(output_name="result", s3_output=output)]
    )
    return ProcessingStep(name, step_args=arguments)


def main(bucket: str, role: str, source: str) -> None:
    telemetry_logging._send_telemetry_request = lambda *_, **__: None
    session = PipelineSession(boto_session=boto3.Session(), default_bucket=bucket)
    tune = tuning(session, bucket, role, source)
    item = CurrentItem()
    folder = Join(on="/", values=["s3:/", bucket, "items", item.name])
    process = processing("Process", session, role, source, folder, item.rank)
    each = ForEachStep(
        "Each",
        iterable_items=['{"name": "low", "rank": "1"}', '{"name": "high", "rank": "7"}'],
        max_concurrency=2,
        for_each_body=[process],
        selector=ForEachSelector("MaxBy", IterationOutput(process).Environment["RANK"]),
    )
    prepare = processing("Prepare", session, role, source, f"s3://{bucket}/prepared", "0")
    result = S3CleanupSource(prepare, s3_uris=[f"s3://{bucket}/prepared/result.txt"])
    clean = CleanupStep("Clean", s3_sources=[result])
    values = [
        tune.get_top_model_s3_uri(0, bucket, "models"),
        tune.properties.BestTrainingJob.FinalHyperParameterTuningJobObjectiveMetric.Value,
        each.properties.Selected.Environment["RANK"],
        each.properties.SucceededStepCount,
    ]
    report = FailStep("Report", error_message=Join(on=" ", values=values), depends_on=[clean])
    pipeline = Pipeline(
        name="sdk-steps", steps=[tune, each, prepare, clean, report], sagemaker_session=session
    )
    pipeline.upsert(role)
    execution = pipeline.start()
    try:
        execution.wait(delay=1, max_attempts=300)
    finally:
        print(json.dumps(execution.list_steps(), default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
