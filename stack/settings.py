"""Where a stack keeps its files, which ports it uses, and the names of its resources."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sagemaker_local_runtime.target import Target
from sagemaker_pipelines.reading import whole_number
from stack.exceptions import StackError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """One stack: an Airflow and a local runtime, which write everything below one folder.

    :param state_dir: databases, S3 objects, logs and pid files.
    :param airflow_port: the port of Airflow's UI and API.
    :param runtime_port: the port of the local runtime.
    :param host: the address of both, by default loopback.
    :param region: the AWS region that the local runtime simulates.
    :param account_id: the AWS account that the local runtime simulates.
    :param name_prefix: the prefix of pipeline names and S3 keys; may be empty.
    :param dags_folder: the DAG files to schedule.
    :param max_concurrent_executions: the quota that the local runtime enforces.
    """

    state_dir: Path = ROOT / ".state"
    airflow_port: int = 8080
    runtime_port: int = 4566
    host: str = "127.0.0.1"
    region: str = "us-east-1"
    account_id: str = "123456789012"
    name_prefix: str = ""
    dags_folder: Path = ROOT / "dags"
    max_concurrent_executions: int = 20

    @classmethod
    def from_environment(cls) -> StackSettings:
        """Read ``STACK_STATE_DIR``, ``RUNTIME_HOST``, ``AIRFLOW_PORT`` and ``RUNTIME_PORT``.

        ``RUNTIME_HOST`` is for the bootstrap in a container; on a laptop everything is on loopback.

        :raises StackError: the value of a port is invalid.
        """
        return cls(
            host=os.environ.get("RUNTIME_HOST", "127.0.0.1"),
            state_dir=Path(os.environ.get("STACK_STATE_DIR", ROOT / ".state")).resolve(),
            airflow_port=_port("AIRFLOW_PORT", "8080"),
            runtime_port=_port("RUNTIME_PORT", "4566"),
        )

    @property
    def airflow_home(self) -> Path:
        """Airflow's database, configuration and task logs."""
        return self.state_dir / "airflow"

    @property
    def runtime_data_dir(self) -> Path:
        """The local runtime's store: S3 objects, pipelines, executions, job folders."""
        return self.state_dir / "runtime"

    @property
    def airflow_url(self) -> str:
        """Airflow's UI."""
        return f"http://{self.host}:{self.airflow_port}"

    @property
    def runtime_url(self) -> str:
        """The endpoint URL for AWS clients."""
        return f"http://{self.host}:{self.runtime_port}"

    @property
    def target(self) -> Target:
        """The account of this stack, to deploy definitions to and to read executions from."""
        return Target(
            endpoint_url=self.runtime_url,
            bucket=self.bucket,
            role_arn=self.role_arn,
            region=self.region,
            name_prefix=self.name_prefix,
        )

    @property
    def bucket(self) -> str:
        """The artifact bucket, with the name of the SDK's default bucket."""
        return f"sagemaker-{self.region}-{self.account_id}"

    @property
    def role_arn(self) -> str:
        """The execution role of pipelines and jobs."""
        return f"arn:aws:iam::{self.account_id}:role/SageMakerExecutionRole"

    @property
    def topic_arn(self) -> str:
        """The SNS topic of the notifications."""
        return f"arn:aws:sns:{self.region}:{self.account_id}:{TOPIC_NAME}"


def _port(name: str, default: str) -> int:
    text = os.environ.get(name, default)
    try:
        port = whole_number(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise StackError(f"{name} is {text!r}; expected a port, a whole number from 1 to 65535.")
    return port


TOPIC_NAME = "sagemaker-pipelines"
QUEUE_NAME = "sagemaker-pipelines-notifications"
