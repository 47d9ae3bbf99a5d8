"""docs/examples/approval_slack.py asks through Airflow's own notifier; a local server plays Slack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from stack.settings import ROOT
from tests.dags.test_approval import example
from tests.documents import blocks
from tests.unit.sagemaker_pipelines.operators.test_approval import Approval, group, hook, runtime
from tests.unit.sagemaker_pipelines.registry import Group

# The tests of the wheel have only what it needs.
pytest.importorskip("airflow.providers.slack")

__all__ = ["group", "hook", "runtime"]


class Slack(ThreadingHTTPServer):
    """Takes the messages of an incoming webhook."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.messages = 200, list[tuple[str, dict[str, Any]]]()


class _Handler(BaseHTTPRequestHandler):
    server: Slack

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"ok" if self.server.status == 200 else b"no")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    server = Slack()
    Thread(target=server.serve_forever, daemon=True).start()
    connection = {
        "conn_type": "slackwebhook",
        "host": f"http://127.0.0.1:{server.server_port}/services",
        "password": "T0/B0/secret",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SLACK", json.dumps(connection))
    yield server
    server.shutdown()
    server.server_close()


def test_the_question_is_told_in_slack_with_a_link_and_again_if_slack_failed(
    slack: Slack, group: Group, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = group.register()
    notifiers = example("approval_slack", tmp_path).get_task("approve_model").notifiers
    approval = Approval(monkeypatch, package, notifiers=notifiers)
    slack.status = 500
    with pytest.raises(AirflowException, match="Status Code: 500"):
        approval.run()
    slack.status = 200
    assert approval.run() is None
    failed, sent = slack.messages
    assert failed == sent
    path, message = sent
    assert path == "/services/T0/B0/secret"
    subject, link = message["text"].splitlines()
    assert subject == f"Approve {group.name}/1? mse 4.9, threshold 6"
    assert link.startswith("<http")
    assert link.endswith("/tasks/approve_model/required_actions?map_index=-1|Answer in Airflow>")
    approval.answer("Approve")
    assert (group.status(package), len(group.records())) == ("Approved", 1)


def test_the_documented_dag_is_the_tested_one() -> None:
    shown = (ROOT / "docs" / "examples" / "approval_slack.py").read_text()
    assert shown == blocks("approval.md", "python")[2]
    assert len(shown.splitlines()) < 40
