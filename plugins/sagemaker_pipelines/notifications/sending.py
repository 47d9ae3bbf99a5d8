"""Send with one notifier as often as needed."""

from __future__ import annotations

from copy import copy
from typing import Any


def send(notifier: Any, context: Any) -> None:
    """Send a notification with a copy of its notifier.

    Airflow renders a notifier's templates in place, and adds them to the context. The next call would send
    the first one's text again, rendered once more: a reason from AWS that has braces would run as code.

    :param notifier: any Airflow notifier, or another callback that takes a context.
    :param context: the running task's.
    """
    copy(notifier)({**context})
