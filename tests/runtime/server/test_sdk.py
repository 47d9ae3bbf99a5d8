"""SDK v3 builds, deploys, starts, watches and stops pipelines on the runtime."""

from __future__ import annotations

import io
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from tests.waiting import until

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("sdk") / "runtime", port=0))
    yield runtime
    runtime.close()


@pytest.fixture(scope="module")
def session(runtime: LocalRuntime) -> Iterator[Any]:
    """A pipeline session whose every client goes to the runtime."""
    patch = pytest.MonkeyPatch()
    for name, value in runtime.environment.items():
        patch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sagemaker.core.telemetry import telemetry_logging
        from sagemaker.core.workflow.pipeline_context import PipelineSession

        # It would call the internet from a background thread.
        patch.setattr(telemetry_logging, "_send_telemetry_request", lambda *_, **__: None)
        yield PipelineSession(
            boto_session=boto3.Session(region_name="us-east-1"),
            sagemaker_client=boto3.client("sagemaker"),
            default_bucket=runtime.bucket,
        )
    patch.undo()


def build(session: Any, runtime: LocalRuntime, name: str, script: Path) -> Any:
    """Return a pipeline of one script step and a Condition on its property file."""
    from sagemaker.core.processing import ScriptProcessor
    from sagemaker.core.shapes import ProcessingOutput, ProcessingS3Output
    from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
    from sagemaker.core.workflow.execution_variables import ExecutionVariables
    from sagemaker.core.workflow.functions import Join, JsonGet
    from sagemaker.core.workflow.parameters import ParameterFloat
    from sagemaker.core.workflow.properties import PropertyFile
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.fail_step import FailStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import ProcessingStep

    threshold = ParameterFloat(name="Threshold", default_value=6.0)
    processor = ScriptProcessor(
        image_uri=IMAGE,
        command=["python3"],
        role=runtime.role_arn,
        instance_count=1,
        instance_type="ml.m5.large",
        sagemaker_session=session,
    )
    output = ProcessingOutput(
        output_name="report",
        s3_output=ProcessingS3Output(
            s3_uri=Join(
                on="/", values=[f"s3://{runtime.bucket}", ExecutionVariables.PIPELINE_EXECUTION_ID, "report"]
            ),
            local_path="/opt/ml/processing/report",
            s3_upload_mode="EndOfJob",
        ),
    )
    report = PropertyFile(name="Report", output_name="report", path="report.json")
    evaluate = ProcessingStep(
        name="Evaluate",
        step_args=processor.run(code=str(script), outputs=[output]),
        property_files=[report],
    )
    left = JsonGet(step_name=evaluate.name, property_file=report, json_path="mse")
    check = ConditionStep(
        name="Check",
        conditions=[ConditionLessThanOrEqualTo(left=left, right=threshold)],
        if_steps=[],
        else_steps=[FailStep(name="Refuse", error_message=Join(on=" ", values=["MSE above", threshold]))],
    )
    return Pipeline(name=name, parameters=[threshold], steps=[evaluate, check], sagemaker_session=session)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "evaluate.py"
    path.write_text("open('/opt/ml/processing/report/report.json', 'w').write('{\"mse\": 4.9}')\n")
    return path


def test_upsert_creates_then_updates(session: Any, runtime: LocalRuntime, script: Path) -> None:
    pipeline = build(session, runtime, "upserted", script)
    arn = pipeline.upsert(role_arn=runtime.role_arn)["PipelineArn"]
    assert pipeline.upsert(role_arn=runtime.role_arn)["PipelineArn"] == arn
    assert pipeline.describe()["PipelineName"] == "upserted"
    pipeline.delete()


def test_a_trigger_of_the_sdk_starts_the_pipeline(session: Any, runtime: LocalRuntime, script: Path) -> None:
    from sagemaker.mlops.workflow.triggers import PipelineSchedule

    pipeline = build(session, runtime, "triggered", script)
    pipeline.upsert(role_arn=runtime.role_arn)
    pipeline.put_triggers([PipelineSchedule(name="daily", rate=(1, "day"))], role_arn=runtime.role_arn)
    sagemaker = runtime.client("sagemaker")

    def started() -> Any:
        return sagemaker.list_pipeline_executions(PipelineName="triggered")["PipelineExecutionSummaries"]

    (execution,) = until(started, "the schedule to start the pipeline")
    ended = runtime.wait(execution["PipelineExecutionArn"])
    assert ended["PipelineExecutionStatus"] == "Succeeded"
    pipeline.delete_triggers(["daily"])


def test_start_wait_steps_and_parameters(session: Any, runtime: LocalRuntime, script: Path) -> None:
    pipeline = build(session, runtime, "started", script)
    pipeline.upsert(role_arn=runtime.role_arn)
    execution = pipeline.start(parameters={"Threshold": 5.5})
    execution.wait(delay=1, max_attempts=300)
    assert execution.describe()["PipelineExecutionStatus"] == "Succeeded"
    steps = {step["StepName"]: step for step in execution.list_steps()}
    assert {name: step["StepStatus"] for name, step in steps.items()} == {
        "Evaluate": "Succeeded",
        "Check": "Succeeded",
    }
    assert steps["Check"]["Metadata"]["Condition"]["Outcome"] == "True"
    assert execution.list_parameters()["PipelineParameters"] == [{"Name": "Threshold", "Value": "5.5"}]


def test_wait_raises_when_the_execution_fails(session: Any, runtime: LocalRuntime, script: Path) -> None:
    from botocore.exceptions import WaiterError

    pipeline = build(session, runtime, "refused", script)
    pipeline.upsert(role_arn=runtime.role_arn)
    execution = pipeline.start(parameters={"Threshold": 3.0})
    with pytest.raises(WaiterError):
        execution.wait(delay=1, max_attempts=300)
    failed = next(step for step in execution.list_steps() if step["StepStatus"] == "Failed")
    assert failed["Metadata"]["Fail"]["ErrorMessage"] == "MSE above 3.0"


def test_stop_ends_a_running_execution(session: Any, runtime: LocalRuntime, script: Path) -> None:
    script.write_text("import time; time.sleep(3600)\n")
    pipeline = build(session, runtime, "stopped", script)
    pipeline.upsert(role_arn=runtime.role_arn)
    execution = pipeline.start()
    until(execution.list_steps, "the first step")
    execution.stop()
    assert runtime.wait(execution.arn)["PipelineExecutionStatus"] == "Stopped"


def test_a_model_trainer_script_trains_as_a_step(session: Any, runtime: LocalRuntime, tmp_path: Path) -> None:
    """The role check, the upload of the source and the script-mode job are the SDK's own."""
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import TrainingStep
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode

    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(
        "import json, os\n"
        "rows = open(os.path.join(os.environ['SM_CHANNEL_TRAIN'], 'rows.csv')).read().split()\n"
        "rate = json.loads(os.environ['SM_HPS'])['rate']\n"
        "open(os.path.join(os.environ['SM_MODEL_DIR'], 'm.txt'), 'w').write(f'{len(rows)} {rate}')\n"
    )
    trainer = ModelTrainer(
        training_image=IMAGE,
        source_code=SourceCode(source_dir=str(source), entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{runtime.bucket}/trained"),
        hyperparameters={"rate": 2},
        base_job_name="trainer",
        role=runtime.role_arn,
        sagemaker_session=session,
    )
    rows = runtime.put("trainer/rows.csv", b"1\n2\n3\n")
    arguments = trainer.train(input_data_config=[InputData(channel_name="train", data_source=rows)])
    step = TrainingStep(name="Train", step_args=arguments)
    pipeline = Pipeline(name="model-trainer", steps=[step], sagemaker_session=session)
    pipeline.upsert(role_arn=runtime.role_arn)
    execution = runtime.wait(pipeline.start().arn)
    steps = runtime.steps(execution["PipelineExecutionArn"])
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    trained = runtime.client("sagemaker").describe_training_job(TrainingJobName=job)
    archive = tarfile.open(  # noqa: SIM115 - in memory
        fileobj=io.BytesIO(runtime.get(trained["ModelArtifacts"]["S3ModelArtifacts"]))
    )
    member = archive.extractfile("m.txt")
    assert member is not None
    assert member.read() == b"3 2"
