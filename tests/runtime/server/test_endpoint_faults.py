"""Endpoints whose requests come at once, whose models answer badly, and whose containers fail."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.hosting import server
from sagemaker_local_runtime.jobs.container import Container
from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.endpoints import ask, serve
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
