"""How one local runtime is set up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a local runtime is started with.

    :param data_dir: everything that outlives the process: the store, S3 objects, job folders.
    :param host: the address to listen on.
    :param port: the port to listen on; 0 takes a free one.
    :param region: the region of every ARN and default of every client.
    :param account_id: the twelve-digit account of every ARN.
    :param max_concurrent_executions: SageMaker's quota of executions that run at once.
    :param max_concurrent_jobs: jobs whose processes run at once, others wait; None takes two per core.
    :param job_memory_mb: address-space limit of each process of a job, MiB; None sets none.
    :param job_max_runtime_seconds: the longest any job may run, whatever its StoppingCondition says.
    :param isolation: ``"namespace"`` or ``"rewrite"`` (see ``sandbox.py``); None probes at start-up.
    :param allowed_arguments: names of steps' arguments that SageMaker's model does not know, or not so, and
        that a pipeline may have all the same, such as ``Training.NewMember``.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 4566
    region: str = "us-east-1"
    account_id: str = "123456789012"
    max_concurrent_executions: int = 20
    max_concurrent_jobs: int | None = None
    job_memory_mb: int | None = None
    job_max_runtime_seconds: int = 86_400
    isolation: str | None = None
    allowed_arguments: tuple[str, ...] = ()

    @property
    def bucket(self) -> str:
        """The bucket that the SDK uses by default in this account and region."""
        return f"sagemaker-{self.region}-{self.account_id}"

    @property
    def role_arn(self) -> str:
        """The execution role that the local runtime's own commands and fixtures use."""
        return f"arn:aws:iam::{self.account_id}:role/SageMakerExecutionRole"
