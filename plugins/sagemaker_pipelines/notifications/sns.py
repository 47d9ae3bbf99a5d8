"""Publish notifications to the SNS topic in the environment's settings."""

from __future__ import annotations

import json
from copy import copy
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.sns import SnsHook
from airflow.providers.amazon.aws.notifications.sns import SnsNotifier
from asgiref.sync import sync_to_async

from sagemaker_pipelines.hooks.connection import CheckedConnectionMixin
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.messages import cut

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: at most 100 characters, ASCII, one line.
MAX_SUBJECT_LENGTH = 100
# SNS accepts at most 262,144 bytes including the message's attributes; this leaves room for these.
MAX_MESSAGE_SIZE = 256_000


class _CheckedSnsHook(CheckedConnectionMixin, SnsHook):
    """The provider's hook, with a checked connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # the provider's


class SageMakerSnsNotifier(SnsNotifier):
    """Publish to an SNS topic, by default the one in the settings.

    If there is no topic in either place, the message is only written to the task's log.

    :param message: the message (templated); if it is too long for SNS, it is truncated and says so.
    :param subject: the subject (templated); characters that SNS would refuse are replaced.
    :param target_arn: the topic (templated); None means ``notification_target`` in the settings.
    :param aws_conn_id: the Airflow connection, which also determines the settings.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
    """

    def __init__(self, *, target_arn: str | None = None, **kwargs: Any) -> None:
        super().__init__(target_arn=target_arn or "", **kwargs)

    def __call__(self, *args: Any) -> None:
        """Send with a copy, because the callback of several tasks must render its templates for each one."""
        # Callbacks with other notifiers need sending.send(), which explains this.
        super(SageMakerSnsNotifier, copy(self)).__call__(*args)

    @cached_property
    def hook(self) -> SnsHook:
        """The hook that calls SNS."""
        return _CheckedSnsHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)

    def notify(self, context: Any) -> None:
        """Publish the rendered message."""
        if self._prepare():
            super().notify(context)  # type: ignore[no-untyped-call]  # the provider's

    async def async_notify(self, context: Any) -> None:
        """Publish the rendered message from the triggerer."""
        if await sync_to_async(self._prepare)():
            await super().async_notify(context)  # type: ignore[no-untyped-call]  # the provider's

    def _prepare(self) -> bool:
        """Find the topic and shorten the message to fit; return whether there is a topic."""
        hook = SageMakerPipelineHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)
        self.target_arn = self.target_arn or hook.settings.notification_target or ""
        self.message = cut(self.message, MAX_MESSAGE_SIZE, size=_sent_size)
        if self.subject:
            self.subject = one_line(self.subject)
        if not self.target_arn:
            self.log.warning("No notification_target is set; the message was: %s", self.message)
        return bool(self.target_arn)


def _sent_size(message: str) -> int:
    # The provider's hook sends it as JSON: a quote counts twice, a letter outside ASCII six times.
    return len(json.dumps({"default": message}))


def one_line(subject: str) -> str:
    """Return a subject that SNS accepts: one line of at most 100 ASCII characters."""
    plain = " ".join(subject.encode("ascii", "replace").decode().split())
    return plain if len(plain) <= MAX_SUBJECT_LENGTH else f"{plain[: MAX_SUBJECT_LENGTH - 3]}..."
