"""Why a step of an execution failed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FailureCause:
    """Why one step failed.

    :param step_name: the step.
    :param reason: its FailureReason, or the message of a Fail step.
    :param is_fail_step: whether it is a Fail step, which fails by the pipeline's own decision.
    :param job_arn: the job that the step ran.
    :param log_group: the CloudWatch log group of the job.
    :param log_stream: its newest log stream.
    :param log_tail: the last lines of that stream.
    """

    step_name: str
    reason: str
    is_fail_step: bool = False
    job_arn: str | None = None
    log_group: str | None = None
    log_stream: str | None = None
    log_tail: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"step {self.step_name} failed: {self.reason}"
        if self.log_group:
            text += f"\n  log: {self.log_group}, stream {self.log_stream or '(none yet)'}"
        return text + "".join(f"\n  | {line}" for line in self.log_tail)
