from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import boto3
import pytest
from airflow.providers.amazon.aws.hooks.sns import SnsHook
from airflow.sdk import DAG
from moto import mock_aws  # noqa: TID253 - these tests are about an AWS service

from sagemaker_pipelines.notifications.sns import (
    MAX_MESSAGE_SIZE,
    MAX_SUBJECT_LENGTH,
    SageMakerSnsNotifier,
    one_line,
)
from sagemaker_pipelines.operators.notification import NotifyOperator

TOPIC = "arn:aws:sns:us-east-1:123456789012:models"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A queue that is subscribed to the topic of the settings."""
    extra = {"region_name": "us-east-1", "service_config": {"sagemaker": {"notification_target": TOPIC}}}
    connection = {"conn_type": "aws", "login": "x", "password": "x", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("sns").create_topic(Name="models")
        url = boto3.client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        arn = "arn:aws:sqs:us-east-1:123456789012:inbox"
        boto3.client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)
        yield url


def received(queue: str) -> list[tuple[str, str]]:
    messages = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    bodies = [json.loads(message["Body"]) for message in messages]
    return [(body["Subject"], body["Message"]) for body in bodies]


def context(**values: object) -> dict[str, object]:
    return {"dag": DAG("d"), **values}


def test_the_message_goes_to_the_topic_of_the_settings_with_its_templates_rendered(queue: str) -> None:
    SageMakerSnsNotifier(subject="{{ run_id }}", message="MSE {{ mse }}")(context(run_id="r1", mse=7.5))
    assert received(queue) == [("r1", "MSE 7.5")]


def test_a_notifier_that_several_tasks_share_renders_its_text_for_each(queue: str) -> None:
    notifier = SageMakerSnsNotifier(subject="{{ run_id }}", message="{{ cause }}")
    shared = context(run_id="r1", cause="{{ 7 * 7 }}")
    notifier(shared)
    notifier(shared | {"run_id": "r2", "cause": "another"})
    assert received(queue) == [("r1", "{{ 7 * 7 }}"), ("r2", "another")]


def test_a_task_sends_what_its_notifier_renders(queue: str) -> None:
    operator = NotifyOperator(task_id="notify", notifier=SageMakerSnsNotifier(subject="s", message="{{ x }}"))
    operator.execute(context(x="m"))  # type: ignore[arg-type]
    assert received(queue) == [("s", "m")]


def test_a_task_fails_when_its_notification_cannot_be_sent(queue: str) -> None:
    notifier = SageMakerSnsNotifier(target_arn=f"{TOPIC}-gone", subject="s", message="m")
    with pytest.raises(Exception, match="NotFound"):
        NotifyOperator(task_id="notify", notifier=notifier).execute(context())  # type: ignore[arg-type]


def test_without_a_topic_the_message_is_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = {"conn_type": "aws", "extra": {"region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    SageMakerSnsNotifier(subject="s", message="MSE too high")(context())
    assert "the message was: MSE too high" in capsys.readouterr().out


def test_the_triggerer_publishes_to_the_topic_of_the_settings_too(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[dict[str, object]] = []

    async def publish(hook: object, **request: object) -> None:
        published.append(request)

    monkeypatch.setattr(SnsHook, "apublish_to_target", publish)
    asyncio.run(SageMakerSnsNotifier(subject="two\nlines", message="m").async_notify(context()))
    ((target, subject),) = [(request["target_arn"], request["subject"]) for request in published]
    assert (target, subject) == (TOPIC, "two lines")


def test_a_subject_is_made_to_fit_what_sns_takes(queue: str) -> None:
    SageMakerSnsNotifier(subject="{{ cause }}", message="m")(context(cause="größer\n" + "x" * 200))
    ((subject, _),) = received(queue)
    assert subject.startswith("gr??er xxx")
    assert len(subject) == MAX_SUBJECT_LENGTH
    assert one_line("short") == "short"


@pytest.mark.parametrize("letter", ["x", '"', "ü", "\N{PILE OF POO}"])
def test_a_message_that_is_too_long_for_sns_is_sent_cut_and_says_so(queue: str, letter: str) -> None:
    SageMakerSnsNotifier(subject="s", message="{{ text }}")(context(text=letter * 380_541))
    ((_, message),) = received(queue)
    assert message.endswith(f"{letter}... (cut: 380,541 characters in all)")
    assert MAX_MESSAGE_SIZE - 12 < len(json.dumps({"default": message})) <= MAX_MESSAGE_SIZE
