"""Endpoints whose requests come at once, whose models answer badly, and whose containers fail."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.hosting import server
from sagemaker_local_runtime.jobs.container import Container
from sagemaker_local_runtime.jobs.logs import JobLog, LogShipper
from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.endpoints import ask, create_config, create_model, serve, settled
from tests.waiting import until

# Answers what the payload asks for.
SCRIPT = """
import os, time

def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    if body == "slow":
        time.sleep(0.05)
    if body == "pair":
        return body, 200
    if body == "kind":
        return body, "text/\\u0142"
    if body == "large":
        return "x" * {large}
    if body == "die":
        os._exit(3)
    if body == "wait":
        open("/opt/ml/waiting", "w").close()
        while not os.path.exists("/opt/ml/go"):
            time.sleep(0.05)
    return body, accept
"""


def script() -> str:
    return SCRIPT.format(large=server.MAX_BODY + 1)


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call()
    return dict(caught.value.response)


def answers(runtime: LocalRuntime) -> bool:
    try:
        return ask(runtime, "e") == "x"
    except ClientError as error:
        if error.response["Error"]["Code"] != "ServiceUnavailable":
            raise
        return False


@pytest.mark.thorough
def test_requests_at_once_wait_for_each_other(local_runtime: LocalRuntime) -> None:
    serve(local_runtime, "e", script())
    with ThreadPoolExecutor(30) as pool:
        found = [*pool.map(lambda _: ask(local_runtime, "e", "slow"), range(60))]
    assert found == ["slow"] * 60


@pytest.mark.thorough
def test_an_answer_that_cannot_be_sent_is_the_model_s_error(local_runtime: LocalRuntime) -> None:
    serve(local_runtime, "e", script())
    for body, message in (
        ("pair", "content type 200"),
        ("kind", "'latin-1' codec can't encode"),
        ("large", f"The response is larger than {server.MAX_BODY} bytes."),
    ):
        failed = error_of(partial(ask, local_runtime, "e", body))
        assert (failed["Error"]["Code"], failed["OriginalStatusCode"]) == ("ModelError", 500)
        assert message in failed["OriginalMessage"]
    assert ask(local_runtime, "e") == "x", "the process goes on"


@pytest.mark.thorough
def test_a_container_that_cannot_be_started_again_is_tried_until_it_can(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(local_runtime, "e", script())
    write, failures = Container.write_config, [OSError(28, "No space left on device")]

    def fail_once(container: Container, path: str, content: Any) -> None:
        if failures:
            raise failures.pop()
        write(container, path, content)

    monkeypatch.setattr(Container, "write_config", fail_once)
    died = error_of(partial(ask, local_runtime, "e", "die"))
    assert died["Error"]["Code"] == "ServiceUnavailable"
    until(partial(answers, local_runtime), "the container that is started again")
    assert not failures
    logs = local_runtime.client("logs").filter_log_events(logGroupName="/aws/sagemaker/Endpoints/e")
    assert any("No space left on device" in event["message"] for event in logs["events"])


@pytest.mark.thorough
def test_an_update_lets_the_old_model_answer_the_requests_that_it_has(local_runtime: LocalRuntime) -> None:
    serve(local_runtime, "e", script())
    create_config(local_runtime, "new", create_model(local_runtime, "new"))
    folder = local_runtime.settings.data_dir / "jobs" / "endpoint"
    (old,) = folder.iterdir()
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(ask, local_runtime, "e", "wait")
        until((old / "ml" / "waiting").exists, "the request")
        local_runtime.client("sagemaker").update_endpoint(EndpointName="e", EndpointConfigName="new")
        try:
            assert settled(local_runtime, "e")["EndpointConfigName"] == "new"
            assert ask(local_runtime, "e").startswith("new ")
        finally:
            (old / "ml" / "go").touch()
        assert request.result() == "wait"
    until(lambda: not old.exists(), "the end of the old model")


@pytest.mark.thorough
def test_names_that_differ_only_in_case_are_the_same_endpoint(local_runtime: LocalRuntime) -> None:
    sagemaker = local_runtime.client("sagemaker")
    serve(local_runtime, "e", script())
    failed = error_of(partial(sagemaker.create_endpoint, EndpointName="E", EndpointConfigName="e"))
    assert "Cannot create already existing endpoint" in failed["Error"]["Message"]
    assert [found["EndpointName"] for found in sagemaker.list_endpoints()["Endpoints"]] == ["e"]


@pytest.mark.thorough
def test_an_endpoint_of_which_a_container_cannot_be_started_fails_and_leaves_nothing(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = create_model(local_runtime, "m", script())
    sagemaker = local_runtime.client("sagemaker")
    container = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    sagemaker.create_model(
        ModelName="chain", Containers=[container, container], ExecutionRoleArn=local_runtime.role_arn
    )
    create_config(local_runtime, "chain", "chain")
    open_log = LogShipper.open

    def refuse_second(shipper: LogShipper, group: str, stream: str, path: Any) -> JobLog:
        if stream.endswith("container-2"):
            raise OSError(28, "No space left on device")
        return open_log(shipper, group, stream, path)

    monkeypatch.setattr(LogShipper, "open", refuse_second)
    before = {*psutil.Process().children(recursive=True)}
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="chain")
    described = settled(local_runtime, "e")
    assert described["EndpointStatus"] == "Failed"
    assert "No space left on device" in described["FailureReason"]
    folder = local_runtime.settings.data_dir / "jobs" / "endpoint"
    until(lambda: not [*folder.iterdir()], "the end of the container that was started")
    assert before.issuperset(psutil.Process().children(recursive=True))

    serve(local_runtime, "kept", script())
    sagemaker.update_endpoint(EndpointName="kept", EndpointConfigName="chain")
    described = settled(local_runtime, "kept")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "kept")
    assert "No space left on device" in described["FailureReason"]
    assert ask(local_runtime, "kept") == "x"
