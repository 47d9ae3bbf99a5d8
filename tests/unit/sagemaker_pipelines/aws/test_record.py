"""The record of an execution: complete, bounded, and readable by other versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.record import MAX_BYTES, ExecutionRecord, execution_record
from sagemaker_pipelines.aws.steps import Bill, Step
from sagemaker_pipelines.definition import definition_hash
from sagemaker_pipelines.definition.document import STEP_TYPES
from sagemaker_pipelines.exceptions import FailureCause
from tests.unit.sagemaker_pipelines.samples import ARN, JOB_ARN, gated_definition

START = datetime(2026, 11, 23, 7, tzinfo=UTC)
END = START + timedelta(minutes=5)


def execution(stubber: Stubber, status: str, *steps: dict[str, Any]) -> None:
    described = {
        "PipelineExecutionArn": ARN,
        "PipelineExecutionDisplayName": "nightly",
        "PipelineExecutionStatus": status,
        "PipelineVersionId": 7,
        "CreationTime": START,
        "LastModifiedTime": END,
    }
    stubber.add_response("describe_pipeline_execution", described)
    stubber.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": list(steps)})


def definition(stubber: Stubber) -> None:
    answer = {"PipelineDefinition": json.dumps(gated_definition())}
    stubber.add_response("describe_pipeline_definition_for_execution", answer)


def parameters(stubber: Stubber, **values: str) -> None:
    pairs = [{"Name": name, "Value": value} for name, value in values.items()]
    stubber.add_response("list_pipeline_parameters_for_execution", {"PipelineParameters": pairs})


def job(stubber: Stubber, seconds: float) -> None:
    stubber.add_response(
        "describe_processing_job",
        {
            "ProcessingJobName": "job-1",
            "ProcessingJobArn": JOB_ARN,
            "ProcessingJobStatus": "Completed",
            "CreationTime": START,
            "ProcessingStartTime": START,
            "ProcessingEndTime": START + timedelta(seconds=seconds),
            "AppSpecification": {"ImageUri": "image"},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
            },
        },
    )


EVALUATE = {
    "StepName": "Evaluate",
    "StepStatus": "Succeeded",
    "StartTime": START,
    "EndTime": END,
    "AttemptCount": 2,
    "Metadata": {"ProcessingJob": {"Arn": JOB_ARN}},
}


def test_it_has_everything_about_an_execution(client: SageMakerClient, sagemaker: Stubber) -> None:
    execution(sagemaker, "Succeeded", EVALUATE, {"StepName": "Gate", "StepStatus": "Starting"})
    definition(sagemaker)
    parameters(sagemaker, Count="7", DbPassword="horse")
    job(sagemaker, 30)
    assert execution_record(client, ARN).as_dict() == {
        "version": 1,
        "pipeline_execution_arn": ARN,
        "display_name": "nightly",
        "status": "Succeeded",
        "rejected": False,
        "resumes": None,
        "started": START.isoformat(),
        "ended": END.isoformat(),
        "pipeline_version_id": 7,
        "definition_hash": definition_hash(gated_definition()),
        "parameters": {
            "InputData": "s3://${artifact_bucket}/data.csv",
            "MseThreshold": "6.0",
            "Count": "7",
            "DbPassword": "***",
        },
        "parameters_left_out": 0,
        "steps": [
            {
                "name": "Evaluate",
                "status": "Succeeded",
                "type": "Processing",
                "started": START.isoformat(),
                "ended": END.isoformat(),
                "seconds": 300.0,
                "attempts": 2,
                "arn": JOB_ARN,
                "bill": {
                    "instance_type": "ml.m5.large",
                    "instance_count": 2,
                    "seconds": 30.0,
                    "source": "start to end",
                    "saving": 0.0,
                    "instance_seconds": 60.0,
                    "cost": None,
                },
            },
            # The definition knows the type of a step that has no metadata yet.
            {"name": "Gate", "status": "Starting", "type": "Condition"},
        ],
        "steps_left_out": 0,
        "instance_seconds": 60.0,
        "instance_seconds_upper_bound": 60.0,
        "saved_instance_seconds": 0,
        "cost": None,
        "cost_upper_bound": None,
        "currency": None,
        "price_date": None,
        "cause": None,
    }


@pytest.mark.parametrize("shown", [{"Metadata": {"Job": {"Arn": "arn:aws:sagemaker:job/tune-a-model"}}}, {}])
def test_what_a_job_step_costs_is_unknown(
    client: SageMakerClient, sagemaker: Stubber, shown: dict[str, Any]
) -> None:
    """Neither in an answer that shows the step's type, nor in one in which only the definition does."""
    execution(sagemaker, "Executing", {"StepName": "Tune", "StepStatus": "Executing", **shown})
    steps = [{"Name": "Tune", "Type": "Job", "Arguments": {}}]
    answer = {"PipelineDefinition": json.dumps({**gated_definition(), "Steps": steps})}
    sagemaker.add_response("describe_pipeline_definition_for_execution", answer)
    parameters(sagemaker)
    record = execution_record(client, ARN)
    assert [step.type for step in record.steps] == ["Job"]
    assert (record.cost, record.cost_upper_bound) == (None, None)


def test_a_step_has_a_type_of_the_definition_for_each_kind_of_metadata(client: SageMakerClient) -> None:
    shape = client.sagemaker.meta.service_model.shape_for("PipelineExecutionStepMetadata")
    read = {
        Step.read({"StepName": "S", "StepStatus": "Executing", "Metadata": {kind: {}}}).type
        for kind in shape.members
    }
    assert read <= STEP_TYPES


def test_a_running_execution_has_no_end(client: SageMakerClient, sagemaker: Stubber) -> None:
    execution(sagemaker, "Executing")
    definition(sagemaker)
    parameters(sagemaker)
    record = execution_record(client, ARN)
    assert (record.ended, record.instance_seconds) == (None, 0.0)


def test_what_cannot_be_read_is_left_out_and_not_zero(client: SageMakerClient, sagemaker: Stubber) -> None:
    execution(sagemaker, "Succeeded", EVALUATE)
    for call in (
        "describe_pipeline_definition_for_execution",
        "list_pipeline_parameters_for_execution",
        "describe_processing_job",
    ):
        sagemaker.add_client_error(call, "AccessDeniedException")
    record = execution_record(client, ARN)
    assert (record.definition_hash, record.parameters, record.instance_seconds) == (None, None, None)
    assert [(step.name, step.bill) for step in record.steps] == [("Evaluate", None)]


TEXT = st.text(max_size=4_000)
STEPS = st.lists(
    st.builds(
        Step,
        name=st.text(min_size=1, max_size=256),
        status=st.sampled_from(["Succeeded", "Failed", "Stopped"]),
        reason=st.text(max_size=300),
        arn=st.text(max_size=256),
        started=st.just(START),
        ended=st.just(END),
        bill=st.none() | st.just(Bill(instance_type="ml.m5.large", instance_count=1, seconds=3, source="s")),
    ),
    max_size=60,
)


@settings(max_examples=50, deadline=None)
@given(steps=STEPS)
def test_it_is_never_larger_than_its_bound_and_counts_what_it_leaves_out(steps: list[Step]) -> None:
    record = ExecutionRecord(pipeline_execution_arn=ARN, status="Failed", steps=tuple(steps))
    found = record.as_dict()
    assert len(json.dumps(found).encode()) <= MAX_BYTES
    assert len(found["steps"]) + found["steps_left_out"] == len(steps)
    kept = [step["status"] for step in found["steps"]]
    if "Succeeded" in kept or "Stopped" in kept:
        assert kept.count("Failed") == sum(step.status == "Failed" for step in steps)
    again = ExecutionRecord.read(json.loads(json.dumps(found)))
    assert again.as_dict() == found


def test_the_largest_execution_fits_in(client: SageMakerClient, sagemaker: Stubber) -> None:
    failed = {
        "StepStatus": "Failed",
        "StartTime": START,
        "EndTime": END,
        "FailureReason": "\N{SNOWMAN}" * 3_000,
    }
    execution(sagemaker, "Failed", *[{"StepName": f"Step{i}", **failed} for i in range(100)])
    definition(sagemaker)
    parameters(sagemaker, **{f"Parameter{i}": "\N{SNOWMAN}" * 1_024 for i in range(200)})
    tail = tuple(f"{i}: " + "x" * 490 for i in range(20))
    cause = FailureCause(step_name="Step0", reason="\N{SNOWMAN}" * 3_000, log_tail=tail)
    record = execution_record(client, ARN, cause=cause)
    found = record.as_dict()
    assert len(json.dumps(found).encode()) <= MAX_BYTES
    assert len(found["steps"]) + found["steps_left_out"] == 100
    assert len(found["parameters"]) + found["parameters_left_out"] == 203
    assert found["parameters"]["Parameter0"].endswith("... (cut: 1,024 characters in all)")
    assert found["cause"]["log_tail"][-1] == tail[-1]
    assert found["steps"][0]["name"] == "Step0"


def test_a_later_version_can_be_read(client: SageMakerClient) -> None:
    record = ExecutionRecord(pipeline_execution_arn=ARN, status="Succeeded").as_dict()
    later = {**record, "version": 2, "colour": "red", "steps": [{"name": "A", "status": "Failed", "new": 1}]}
    read = ExecutionRecord.read(later)
    assert (read.version, read.steps) == (2, (Step(name="A", status="Failed"),))


def test_data_never_take_the_room_of_a_step() -> None:
    """What was read and written is shown as far as there is room."""
    steps = [
        Step(
            name=f"Step{i}",
            status="Succeeded",
            inputs=(f"s3://bucket/{i}/" + "x" * 900,),
            outputs=("s3://b/o",),
        )
        for i in range(60)
    ]
    found = ExecutionRecord(pipeline_execution_arn=ARN, status="Succeeded", steps=tuple(steps)).as_dict()
    assert len(json.dumps(found).encode()) <= MAX_BYTES
    assert len(found["steps"]) == 60
    shown = [step["name"] for step in found["steps"] if "inputs" in step]
    assert 5 < len(shown) < 20
    assert shown == [f"Step{i}" for i in range(len(shown))]
    assert found["steps"][0]["inputs"] == list(steps[0].inputs)
    read = ExecutionRecord.read(json.loads(json.dumps(found)))
    assert read.steps[0] == steps[0]
    assert read.as_dict() == found
