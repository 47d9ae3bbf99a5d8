"""Use one notifier for several notifications."""

from __future__ import annotations

from copy import copy
from typing import Any


def send(notifier: Any, context: Any) -> None:
    """Send a notification with a copy of its notifier.

    Airflow renders a notifier's templates in place, and adds them to the context. Without the copy, the next
    call would send the text of the first one again, rendered a second time: a reason from AWS that contains
    braces would run as code.

    :param notifier: any Airflow notifier, or another callback with a context as its argument.
    :param context: the context of the running task.
    """
    copy(notifier)({**context})
