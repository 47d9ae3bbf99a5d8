"""The notification as a task."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseNotifier

from sagemaker_pipelines.operators.notification import NotifyOperator


class Notifier(BaseNotifier):
    """A notifier that keeps what it has rendered."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Any) -> None:
        pass


def test_the_notifiers_templates_read_the_values_and_none_of_them_is_code() -> None:
    notifier = Notifier("{{ values.name }} of {{ run_id }}")
    task = NotifyOperator(task_id="notify", notifier=notifier, values={"name": "{{ 7 * 7 }}'"})
    task.execute({"run_id": "r1"})
    assert notifier.message == "{{ 7 * 7 }}' of r1"
