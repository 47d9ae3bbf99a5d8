"""Send a notification from a separate task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from sagemaker_pipelines.notifications.sending import send

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context


class NotifyOperator(BaseOperator):
    """Run a notifier; if the notification cannot be sent, the task fails and is retried.

    A callback would only log the error and continue.

    :param notifier: any Airflow notifier; it renders its own templates.
    :param values: values that its templates can read as ``{{ values.<name> }}``, such as a
        :func:`~sagemaker_pipelines.task.values.task_value`; default none. Templated.

    https://airflow.apache.org/docs/apache-airflow/stable/howto/notifications.html
    """

    template_fields: Sequence[str] = ("values",)
    ui_color = "#fff5d6"

    def __init__(
        self, *, notifier: BaseNotifier, values: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.notifier = notifier
        self.values = dict(values or {})

    def execute(self, context: Context) -> None:
        """Send the notification."""
        send(self.notifier, {**context, "values": self.values})
