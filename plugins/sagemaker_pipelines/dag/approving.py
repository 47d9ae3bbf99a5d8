"""Who approves a registered model before it is scored, and the task that asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sagemaker_pipelines.operators.approval import SageMakerApproveModelPackageOperator

AUTOMATIC: Literal["automatic"] = "automatic"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A person approves a registered model before it is scored.

    :param assigned_users: the users who may answer, as Airflow names them: ``{"id": ..., "name": ...}``; by
        default everybody who may edit the DAG.
    :param timeout: how long to wait for an answer; None waits for ever. Without an answer in time, the model
        package stays pending and nothing is scored.
    :param notifiers: Airflow notifiers that announce the question; their templates can read
        ``values.subject``, ``values.text`` and ``values.link``. By default, the DAG's ``notifier`` does.
    :raises ValueError: a value cannot be used; the message says what was expected.

    https://airflow.apache.org/docs/apache-airflow-providers-standard/stable/operators/hitl.html
    """

    assigned_users: Sequence[Mapping[str, str]] = ()
    timeout: timedelta | None = None
    notifiers: Sequence[Callable[[Any], None]] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be asked."""
        for user in self.assigned_users:
            texts = [user.get(name) for name in ("id", "name")] if isinstance(user, Mapping) else []
            if not texts or not all(isinstance(text, str) and text for text in texts):
                raise ValueError(
                    f"assigned_users has {user!r}; expected a user with id and name, such as "
                    '{"id": "ada", "name": "Ada"}. Correct it.'
                )
        if self.timeout is not None and (
            not isinstance(self.timeout, timedelta) or self.timeout <= timedelta(0)
        ):
            raise ValueError(
                f"The timeout of the approval is {self.timeout!r}; expected a timedelta above 0, or None to "
                "wait for ever. Correct it."
            )


def check_approval(approval: object) -> None:
    """Refuse an ``approval`` of a DAG that is neither a question, nor the rule, nor left out.

    :raises ValueError: it is something else.
    """
    if approval is not None and approval != AUTOMATIC and not isinstance(approval, Approval):
        raise ValueError(
            f"approval is {approval!r}; expected Approval(...), to ask a person, or {AUTOMATIC!r}, to let "
            "the gate or the comparison decide. Correct it, or leave it out."
        )


def approval_task(
    approval: Approval | Literal["automatic"], notifier: Callable[..., Any] | None, **about: Any
) -> SageMakerApproveModelPackageOperator:
    """Return the task ``approve_model``.

    It runs after the comparison, or after the branch for a model that was approved in the meantime.

    :param approval: who decides.
    :param notifier: makes the notifier to use if the approval has none; None sends nothing.
    :param about: what the operator asks about.
    """
    asked: dict[str, Any] = {"automatic": True}
    if isinstance(approval, Approval):
        by_default = (
            []
            if notifier is None
            else [
                notifier(
                    subject="{{ values.subject }}",
                    message="{{ values.subject }}\n\n{{ values.text }}\n\nAnswer: {{ values.link }}\n",
                )
            ]
        )
        asked = {
            "assigned_users": [dict(user) for user in approval.assigned_users] or None,
            "response_timeout": approval.timeout,
            "notifiers": list(approval.notifiers) or by_default,
        }
    return SageMakerApproveModelPackageOperator(
        task_id="approve_model", trigger_rule="none_failed_min_one_success", **about, **asked
    )
