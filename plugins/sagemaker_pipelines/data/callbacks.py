"""What connects a Callback step with the DAG run that works for it: the run's id and its conf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The entry of the conf that names the callback; all others are the arguments of the step.
CONF_KEY = "sagemaker_callback"


@dataclass(frozen=True)
class Callback:
    """A Callback step that waits for an answer.

    :param callback_token: the token that the answer has to name.
    :param pipeline_execution_arn: the execution that waits.
    """

    callback_token: str
    pipeline_execution_arn: str

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> Self:
        """Return the callback of an event's payload, or of an entry of a conf."""
        return cls(str(payload["callback_token"]), str(payload["pipeline_execution_arn"]))

    @classmethod
    def of_run(cls, context: Context) -> Self | None:
        """Return the callback for which a run was triggered; None if it was triggered otherwise."""
        entry = (context["dag_run"].conf or {}).get(CONF_KEY)
        return cls.read(entry) if entry else None

    @property
    def run_id(self) -> str:
        """The id of its run, the same for every delivery of its message."""
        return f"callback__{self.callback_token}"

    def conf(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the conf of its run.

        :param arguments: the arguments of the step, which become the conf's entries.
        """
        return {**arguments, CONF_KEY: asdict(self)}

    def __str__(self) -> str:
        return f"callback {self.callback_token} of {self.pipeline_execution_arn}"
