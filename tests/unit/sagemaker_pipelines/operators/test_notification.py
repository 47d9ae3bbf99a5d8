"""The notification as a task."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseNotifier

from sagemaker_pipelines.operators.notification import NotifyOperator


class Notifier(BaseNotifier):
    """A notifier that keeps what it has sent."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message
        self.sent: list[str] = []

    def notify(self, context: Any) -> None:
        self.sent.append(self.message)


def test_the_notifiers_templates_read_the_values_and_none_of_them_is_code() -> None:
    notifier = Notifier("{{ values.name }} of {{ run_id }}")
    task = NotifyOperator(task_id="notify", notifier=notifier, values={"name": "{{ 7 * 7 }}'"})
    task.execute({"run_id": "r1"})
    assert notifier.sent == ["{{ 7 * 7 }}' of r1"]


def test_each_run_in_one_process_sends_its_own_text_and_never_renders_one_twice() -> None:
    notifier = Notifier("{{ values.reason }}")
    for reason in ("{{ 7 * 7 }}", "another"):
        task = NotifyOperator(task_id="notify", notifier=notifier, values={"reason": reason})
        task.execute({"run_id": "r1"})
    assert notifier.sent == ["{{ 7 * 7 }}", "another"]
