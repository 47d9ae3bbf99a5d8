"""The source of the clients and settings of an AWS account, such as an Airflow connection."""

from __future__ import annotations

from typing import Any, Protocol

from sagemaker_pipelines.settings import PipelineSettings


class Logger(Protocol):
    """The methods of a logger that are used here, whether it is the standard library's or Airflow's."""

    def info(self, message: Any, /, *values: Any) -> Any: ...
    def warning(self, message: Any, /, *values: Any) -> Any: ...
    def error(self, message: Any, /, *values: Any) -> Any: ...
    def exception(self, message: Any, /, *values: Any) -> Any: ...


class Account(Protocol):
    """The source of boto3's clients and of the settings, for one AWS account and region."""

    @property
    def name(self) -> str:
        """The name to use if the environment has none: the id of the Airflow connection."""

    @property
    def settings(self) -> PipelineSettings:
        """The environment.

        :raises SettingsError: a setting is unknown or malformed.
        """

    @property
    def log(self) -> Logger:
        """The logger for work in this account."""

    def boto3_client(self, service: str) -> Any:
        """Return a boto3 client for a service."""

    def masked(self, value: Any) -> Any:
        """Return a copy of JSON types in which the values of secrets are masked."""

    def renew(self) -> None:
        """Read the credentials again."""
