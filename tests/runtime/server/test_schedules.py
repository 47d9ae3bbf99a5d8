"""EventBridge's rules and schedules start pipelines, by a clock that tests can move."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.server.test_events import PASSING
from tests.waiting import until

HOUR, DAY = 3600, 86_400
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:f"
TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:m"
# Compares its parameter with 1: nothing runs, and the execution tells the value that it was started with.
COMPARING = {
    "Version": "2020-12-01",
    "Parameters": [{"Name": "Value", "Type": "Integer", "DefaultValue": 1}],
    "Steps": [
        {
            "Name": "Decide",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [{"Type": "Equals", "LeftValue": {"Get": "Parameters.Value"}, "RightValue": 1}],
                "IfSteps": [],
                "ElseSteps": [],
            },
        }
    ],
}


@pytest.fixture
def pipeline(local_runtime: LocalRuntime) -> str:
    """The ARN of a pipeline."""
    name = local_runtime.create_pipeline(COMPARING, "scheduled")
    arn: str = local_runtime.client("sagemaker").describe_pipeline(PipelineName=name)["PipelineArn"]
    return arn


def executions(runtime: LocalRuntime, pipeline: str) -> list[dict[str, str]]:
    """Return the parameters of each execution of a pipeline."""
    sagemaker = runtime.client("sagemaker")
    found = sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]
    parameters = []
    for execution in found:
        listed = sagemaker.list_pipeline_parameters_for_execution(
            PipelineExecutionArn=execution["PipelineExecutionArn"]
        )["PipelineParameters"]
        parameters.append({item["Name"]: item["Value"] for item in listed})
    return parameters


def schedule(runtime: LocalRuntime, target: str, expression: str, **fields: Any) -> str:
    request = {
        "Name": "nightly",
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": target,
            "RoleArn": runtime.role_arn,
            "SageMakerPipelineParameters": {"PipelineParameterList": [{"Name": "Value", "Value": "2"}]},
        },
        **fields,
    }
    arn: str = runtime.client("scheduler").create_schedule(**request)["ScheduleArn"]
    return arn


def daily() -> str:
    """Return a schedule that does not fire by the real clock while a test runs."""
    return f"cron(0 {(datetime.now(UTC) + timedelta(hours=12)).hour} * * ? *)"


def queue(runtime: LocalRuntime, name: str) -> tuple[str, str]:
    """Return the URL and the ARN of a new queue."""
    sqs = runtime.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def messages(runtime: LocalRuntime, url: str) -> list[Any]:
    received = runtime.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in received.get("Messages", [])]


def test_a_schedule_starts_its_pipeline_with_its_parameters(
    local_runtime: LocalRuntime, pipeline: str
) -> None:
    arn = schedule(local_runtime, pipeline, daily())
    assert executions(local_runtime, pipeline) == []
    assert local_runtime.move_clock(DAY) == [arn]
    assert executions(local_runtime, pipeline) == [{"Value": "2"}]
    assert local_runtime.move_clock(0) == []
    assert local_runtime.move_clock(DAY) == [arn]
    assert len(executions(local_runtime, pipeline)) == 2


def test_a_rate_begins_at_once_and_a_start_holds_it_back(local_runtime: LocalRuntime, pipeline: str) -> None:
    schedule(local_runtime, pipeline, "rate(12 hours)")
    until(lambda: executions(local_runtime, pipeline), "the first start")
    start = datetime.now(UTC) + timedelta(hours=6)
    later = schedule(local_runtime, pipeline, "rate(12 hours)", Name="later", StartDate=start)
    assert local_runtime.move_clock(5 * HOUR) == []
    assert local_runtime.move_clock(2 * HOUR) == [later]


def test_a_schedule_of_one_time_fires_once(local_runtime: LocalRuntime, pipeline: str) -> None:
    due = datetime.now(UTC) + timedelta(days=2)
    arn = schedule(local_runtime, pipeline, f"at({due:%Y-%m-%dT%H:%M:%S})")
    assert [local_runtime.move_clock(DAY * 3), local_runtime.move_clock(DAY * 3)] == [[arn], []]


def test_a_disabled_schedule_and_one_that_has_ended_start_nothing(
    local_runtime: LocalRuntime, pipeline: str
) -> None:
    schedule(local_runtime, pipeline, daily(), State="DISABLED")
    now = datetime.now(UTC)
    hourly = f"cron({(now + timedelta(minutes=30)).minute} * * * ? *)"
    schedule(local_runtime, pipeline, hourly, Name="ended", EndDate=now + timedelta(hours=1))
    assert local_runtime.move_clock(2 * DAY) == []
    assert executions(local_runtime, pipeline) == []


def test_the_sdks_schedule_starts_the_pipeline(local_runtime: LocalRuntime, pipeline: str) -> None:
    """As ``put_triggers`` of SDK v3 writes it: no parameters, and a start that is now."""
    target = {"Arn": pipeline, "RoleArn": local_runtime.role_arn}
    schedule(local_runtime, pipeline, "rate(1 day)", Target=target, StartDate=datetime.now(UTC))
    until(lambda: executions(local_runtime, pipeline) == [{"Value": "1"}], "the start")


def test_a_start_that_fails_goes_to_the_dead_letter_queue(local_runtime: LocalRuntime, pipeline: str) -> None:
    url, dead = queue(local_runtime, "dead")
    target = {
        "Arn": f"{pipeline}-gone",
        "RoleArn": local_runtime.role_arn,
        "DeadLetterConfig": {"Arn": dead},
    }
    schedule(local_runtime, pipeline, daily(), Target=target)
    local_runtime.move_clock(DAY)
    (message,) = messages(local_runtime, url)
    assert message["target"] == f"{pipeline}-gone"
    assert "does not exist" in message["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Target": {"Arn": LAMBDA, "RoleArn": "arn:aws:iam::123456789012:role/r"}}, LAMBDA),
        ({"ScheduleExpression": "cron(0 3 LW * ? *)"}, "LW"),
        ({"ScheduleExpression": "rate(1 week)"}, "rate"),
        ({"ScheduleExpression": "rate(99999999999 days)"}, "is never due"),
        ({"ScheduleExpression": "rate(3000000 days)"}, "is never due"),
        ({"ScheduleExpression": "at(2026-13-01T00:00:00)"}, "is never due"),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "Mars/Olympus"),
    ],
)
def test_a_schedule_that_would_not_fire_is_refused_by_name(
    local_runtime: LocalRuntime, pipeline: str, change: dict[str, Any], message: str
) -> None:
    expression = change.pop("ScheduleExpression", "cron(0 3 * * ? *)")
    with pytest.raises(ClientError, match=message) as raised:
        schedule(local_runtime, pipeline, expression, **change)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert local_runtime.client("scheduler").list_schedules()["Schedules"] == []


def test_a_schedule_without_a_next_time_costs_no_other_its_start(
    local_runtime: LocalRuntime, pipeline: str
) -> None:
    """Its second time is after the last year of the calendar."""
    now = datetime.now(UTC)
    days = (datetime.max.replace(tzinfo=UTC) - now).days - 10
    schedule(local_runtime, pipeline, f"rate({days} days)", StartDate=now + timedelta(days=20))
    schedule(local_runtime, pipeline, "rate(1 day)", Name="daily")
    names = [[arn.rpartition("/")[2] for arn in local_runtime.move_clock(n * DAY)] for n in (21, 1)]
    assert names == [["nightly", "daily"], ["daily"]]


def test_a_refused_update_leaves_the_schedule(local_runtime: LocalRuntime, pipeline: str) -> None:
    schedule(local_runtime, pipeline, "cron(0 3 * * ? *)")
    scheduler = local_runtime.client("scheduler")
    with pytest.raises(ClientError, match=LAMBDA):
        scheduler.update_schedule(
            Name="nightly",
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": LAMBDA, "RoleArn": local_runtime.role_arn},
        )
    assert scheduler.get_schedule(Name="nightly")["ScheduleExpression"] == "cron(0 3 * * ? *)"


@pytest.mark.parametrize("target", [LAMBDA, TOPIC, MACHINE])
def test_a_target_that_a_rule_cannot_lead_to_is_refused_by_name(
    local_runtime: LocalRuntime, target: str
) -> None:
    events = local_runtime.client("events")
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    with pytest.raises(ClientError, match=f"The target {target} is not supported") as raised:
        events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": target}])
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert events.list_targets_by_rule(Rule="r")["Targets"] == []


def test_an_event_starts_a_pipeline(local_runtime: LocalRuntime, pipeline: str) -> None:
    events = local_runtime.client("events")
    pattern = {"source": ["aws.sagemaker"], "detail": {"currentPipelineExecutionStatus": ["Failed"]}}
    events.put_rule(Name="follow", EventPattern=json.dumps(pattern))
    parameters = {"PipelineParameterList": [{"Name": "Value", "Value": "3"}]}
    target = {"Id": "next", "Arn": pipeline, "RoleArn": local_runtime.role_arn}
    events.put_targets(Rule="follow", Targets=[{**target, "SageMakerPipelineParameters": parameters}])
    local_runtime.execute(PASSING)
    until(lambda: executions(local_runtime, pipeline) == [{"Value": "3"}], "the pipeline that follows")


def test_a_target_that_fails_costs_the_others_no_event(local_runtime: LocalRuntime, pipeline: str) -> None:
    events = local_runtime.client("events")
    gone = "arn:aws:sqs:us-east-1:123456789012:gone"
    first_url, first = queue(local_runtime, "first")
    second_url, second = queue(local_runtime, "second")
    for name in ("a", "b"):
        events.put_rule(Name=name, EventPattern=json.dumps({"source": ["mine"]}))
    broken = [{"Id": "1", "Arn": gone}, {"Id": "2", "Arn": f"{pipeline}-gone"}]
    events.put_targets(Rule="a", Targets=[*broken, {"Id": "3", "Arn": first}])
    events.put_targets(Rule="b", Targets=[{"Id": "1", "Arn": second}])
    put = events.put_events(Entries=[{"Source": "mine", "DetailType": "t", "Detail": "{}"}] * 2)
    assert put["FailedEntryCount"] == 0
    assert len(messages(local_runtime, first_url)) == len(messages(local_runtime, second_url)) == 2


def test_a_rule_of_a_schedule_fires_by_the_clock_and_by_no_event(
    local_runtime: LocalRuntime, pipeline: str
) -> None:
    events = local_runtime.client("events")
    url, arn = queue(local_runtime, "ticks")
    rule = events.put_rule(Name="hourly", ScheduleExpression="rate(1 hour)")["RuleArn"]
    events.put_targets(Rule="hourly", Targets=[{"Id": "q", "Arn": arn}, {"Id": "p", "Arn": pipeline}])
    events.put_events(Entries=[{"Source": "mine", "DetailType": "t", "Detail": "{}"}])
    assert messages(local_runtime, url) == []
    assert local_runtime.move_clock(HOUR) == [rule]
    (event,) = messages(local_runtime, url)
    assert (event["detail-type"], event["resources"]) == ("Scheduled Event", [rule])
    assert executions(local_runtime, pipeline) == [{"Value": "1"}]
    events.disable_rule(Name="hourly")
    assert local_runtime.move_clock(DAY) == []


def test_a_disabled_rule_delivers_nothing(local_runtime: LocalRuntime) -> None:
    events = local_runtime.client("events")
    url, arn = queue(local_runtime, "quiet")
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["mine"]}), State="DISABLED")
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    entries = [{"Source": "mine", "DetailType": "t", "Detail": "{}"}]
    events.put_events(Entries=entries)
    assert messages(local_runtime, url) == []
    events.enable_rule(Name="r")
    events.put_events(Entries=entries)
    assert len(messages(local_runtime, url)) == 1


@pytest.mark.parametrize("seconds", [-1, True, "1", None, 1e18])
def test_the_clock_moves_forward_by_seconds_only(local_runtime: LocalRuntime, seconds: Any) -> None:
    with pytest.raises(OSError, match="400"):
        local_runtime.move_clock(seconds)
