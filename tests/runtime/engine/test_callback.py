"""Callback steps send a real SQS message and wait for the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.exceptions import ConflictError, ResourceNotFoundError, ValidationError
from tests.runtime.engine.definitions import get, pipeline, processing
from tests.runtime.engine.doubles import Engine, FakeJobs, token
from tests.waiting import until


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Queue:
    """The consumer's side of a callback step."""

    def __init__(self, engine: Engine) -> None:
        self._sqs = engine.runtime.account.client("sqs")
        self.url = self._sqs.create_queue(QueueName=token())["QueueUrl"]

    def receive(self) -> dict[str, Any]:
        def first() -> Any:
            return self._sqs.receive_message(QueueUrl=self.url, WaitTimeSeconds=1).get("Messages")

        (message,) = until(first, "a message")
        self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        body: dict[str, Any] = json.loads(message["Body"])
        return body


@pytest.fixture
def engine(tmp_path: Path, jobs: FakeJobs, endpoint: str) -> Iterator[Engine]:
    engine = Engine(tmp_path, endpoint_url=endpoint)
    yield engine
    engine.runtime.executions.shutdown()


@pytest.fixture
def queue(engine: Engine) -> Queue:
    return Queue(engine)


def callback(url: str) -> dict[str, Any]:
    return {
        "Name": "ask",
        "Type": "Callback",
        "Arguments": {"count": get("Parameters.Count"), "note": "please"},
        "SqsQueueUrl": url,
        "OutputParameters": [
            {"OutputName": "answer", "OutputType": "Integer"},
            {"OutputName": "who", "OutputType": "String"},
        ],
    }


def start(engine: Engine, queue: Queue) -> str:
    after = processing("after", Environment={"ANSWER": get("Steps.ask.OutputParameters['answer']")})
    parameters = [{"Name": "Count", "Type": "Integer", "DefaultValue": 3}]
    engine.create(pipeline(callback(queue.url), after, parameters=parameters))
    return engine.start()


def succeed(engine: Engine, callback_token: str, **values: str) -> str:
    outputs = [{"Name": name, "Value": value} for name, value in values.items()]
    answer = engine.call(
        "SendPipelineExecutionStepSuccess", CallbackToken=callback_token, OutputParameters=outputs
    )
    return str(answer["PipelineExecutionArn"])


def test_the_message_has_token_execution_status_and_arguments(engine: Engine, queue: Queue) -> None:
    arn = start(engine, queue)
    message = queue.receive()
    callback_token = message.pop("token")
    assert len(callback_token) == 10
    assert callback_token.isalnum()
    assert message == {
        "pipelineExecutionArn": arn,
        "status": "Executing",
        "arguments": {"count": 3, "note": "please"},
    }
    metadata = engine.steps(arn)["ask"]["Metadata"]["Callback"]
    assert metadata == {"CallbackToken": callback_token, "SqsQueueUrl": queue.url}


def test_success_hands_its_outputs_on_in_their_types(engine: Engine, queue: Queue, jobs: FakeJobs) -> None:
    arn = start(engine, queue)
    assert succeed(engine, queue.receive()["token"], answer="42", who="me") == arn
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert jobs.runs[0].arguments["Environment"] == {"ANSWER": 42}
    listed = engine.steps(arn)["ask"]["Metadata"]["Callback"]["OutputParameters"]
    assert listed == [{"Name": "answer", "Value": "42"}, {"Name": "who", "Value": "me"}]


def test_failure_fails_the_step_with_its_reason(engine: Engine, queue: Queue) -> None:
    arn = start(engine, queue)
    engine.call(
        "SendPipelineExecutionStepFailure",
        CallbackToken=queue.receive()["token"],
        FailureReason="nobody home",
    )
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Failed"
    assert engine.steps(arn)["ask"]["FailureReason"] == "nobody home"


def test_stop_sends_a_second_message_and_waits_for_the_answer(engine: Engine, queue: Queue) -> None:
    arn = start(engine, queue)
    first = queue.receive()
    engine.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken=token())
    second = queue.receive()
    assert second == {**first, "status": "Stopping"}
    assert not engine.runtime.executions.wait(arn, 0.2)
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Stopping"
    succeed(engine, first["token"], answer="1", who="me")
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Stopped"
    assert engine.statuses(arn) == {"ask": "Succeeded"}


def test_wrong_outputs_are_refused_and_the_step_waits_on(engine: Engine, queue: Queue) -> None:
    arn = start(engine, queue)
    callback_token = queue.receive()["token"]
    with pytest.raises(ValidationError, match=r"unknown \['other'\], missing \['answer', 'who'\]"):
        succeed(engine, callback_token, other="1")
    with pytest.raises(ValidationError, match="answer is 'many'"):
        succeed(engine, callback_token, answer="many", who="me")
    succeed(engine, callback_token, answer="1", who="me")
    assert engine.ended(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_an_answer_may_be_repeated_but_not_changed(engine: Engine, queue: Queue) -> None:
    arn = start(engine, queue)
    callback_token = queue.receive()["token"]
    assert succeed(engine, callback_token, answer="1", who="me") == arn
    assert succeed(engine, callback_token, answer="1", who="me") == arn
    with pytest.raises(ConflictError, match="already ended"):
        engine.call("SendPipelineExecutionStepFailure", CallbackToken=callback_token, FailureReason="late")


def test_an_unknown_token_is_not_found(engine: Engine) -> None:
    with pytest.raises(ResourceNotFoundError, match="Callback token 'abcdefghij' does not exist"):
        succeed(engine, "abcdefghij")


def test_a_missing_queue_fails_the_step_with_the_reason(engine: Engine, queue: Queue) -> None:
    engine.create(
        pipeline(
            callback(f"{queue.url}-gone"),
            parameters=[{"Name": "Count", "Type": "Integer", "DefaultValue": 3}],
        )
    )
    arn = engine.start()
    engine.ended(arn)
    assert "Failed to invoke sqs:SendMessage" in engine.steps(arn)["ask"]["FailureReason"]


def test_shutdown_does_not_wait_for_an_answer(engine: Engine, queue: Queue) -> None:
    arn = start(engine, queue)
    queue.receive()
    engine.runtime.executions.shutdown()
    assert engine.describe(arn)["PipelineExecutionStatus"] == "Failed"
