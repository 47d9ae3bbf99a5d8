"""Where the clients and the settings of an AWS account come from, such as an Airflow connection."""

from __future__ import annotations

from typing import Any, Protocol

from sagemaker_pipelines.settings import PipelineSettings


class Logger(Protocol):
    """What a log takes, whether it is the standard library's or Airflow's."""

    def info(self, message: Any, /, *values: Any) -> Any: ...
    def warning(self, message: Any, /, *values: Any) -> Any: ...
    def error(self, message: Any, /, *values: Any) -> Any: ...
    def exception(self, message: Any, /, *values: Any) -> Any: ...


class Account(Protocol):
    """Where boto3's clients and the settings of one AWS account and region come from."""

    @property
    def name(self) -> str:
        """What the account is called where its environment has no name: the Airflow connection's id."""

    @property
    def settings(self) -> PipelineSettings:
        """The environment.

        :raises SettingsError: a setting is unknown or malformed.
        """

    @property
    def log(self) -> Logger:
        """Where its work is logged."""

    def boto3_client(self, service: str) -> Any:
        """Return a boto3 client of a service."""

    def masked(self, value: Any) -> Any:
        """Return JSON types with the values of secrets masked."""

    def renew(self) -> None:
        """Read the credentials anew."""
