"""Send a notification as a task of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context


class NotifyOperator(BaseOperator):
    """Run a notifier; the task fails, and is retried, when the notification cannot be sent.

    A callback would log such an error and go on.

    :param notifier: any Airflow notifier; it renders its own templates.

    https://airflow.apache.org/docs/apache-airflow/stable/howto/notifications.html
    """

    ui_color = "#fff5d6"

    def __init__(self, *, notifier: BaseNotifier, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.notifier = notifier

    def execute(self, context: Context) -> None:
        """Send it."""
        self.notifier(context)
