"""The settings of a local runtime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a local runtime is started with.

    :param data_dir: everything that outlives the process: the store, S3 objects, job folders.
    :param host: the address to listen on.
    :param port: the port to listen on; 0 means any free port.
    :param region: the region of every ARN, and the default region of every client.
    :param account_id: the twelve-digit account of every ARN.
    :param max_concurrent_executions: SageMaker's quota of concurrent executions.
    :param max_concurrent_jobs: how many jobs run at the same time while the others wait; None means two per
        core.
    :param job_memory_mb: the address-space limit of each process of a job, in MiB; None means no limit.
    :param job_max_runtime_seconds: the longest that any job may run, whatever its StoppingCondition says.
    :param isolation: ``"namespace"`` or ``"rewrite"`` (see ``sandbox.py``); None chooses what the
        machine supports.
    :param allowed_arguments: names of step arguments that a pipeline may have although SageMaker's model does
        not know them or their form, such as ``Training.NewMember``.
    :param images: the user's ``images.toml``, whose entries come before the built-in ones (see
        ``images/catalog.py``).
    :param cache_dir: keeps the environments of images for all runtimes of this user; None is
        ``sagemaker-local-runtime`` in ``XDG_CACHE_HOME`` or ``~/.cache``.
    :param packages: whether jobs may install packages, each into a layer of its own.
    :param stubs: by type of step, the function that gives the outputs of steps that are not executed, as
        ``/path/stubs.py:run_emr`` (see ``stubs/``).
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
    images: Path | None = None
    cache_dir: Path | None = None
    packages: bool = True
    stubs: Mapping[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """The bucket that the SDK uses by default in this account and region."""
        return f"sagemaker-{self.region}-{self.account_id}"

    @property
    def cache(self) -> Path:
        """The folder that keeps the environments of images."""
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return self.cache_dir or base / "sagemaker-local-runtime"

    @property
    def role_arn(self) -> str:
        """The execution role that the local runtime's own commands and fixtures use."""
        return f"arn:aws:iam::{self.account_id}:role/SageMakerExecutionRole"
