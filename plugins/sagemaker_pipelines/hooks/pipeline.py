"""Make AWS clients and the environment's settings from an Airflow connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from airflow.providers.common.compat.sdk import AirflowException, conf
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import refuse_broken_answers
from sagemaker_pipelines.exceptions import SettingsError
from sagemaker_pipelines.hooks.connection import CheckedConnectionMixin
from sagemaker_pipelines.masking import masked
from sagemaker_pipelines.settings import PipelineSettings, table

#: For polling: a call to an endpoint that hangs fails within a minute.
POLLING_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})


class SageMakerPipelineHook(CheckedConnectionMixin, SageMakerHook):
    """Provide the client and the settings of one connection; the calls themselves are in :attr:`client`.

    It accepts the arguments of the provider's
    :class:`~airflow.providers.amazon.aws.hooks.base_aws.AwsBaseHook`: ``aws_conn_id``, ``region_name``,
    ``verify`` and ``config``. What differs between environments comes from :attr:`settings`.

    :ivar default_config: botocore's Config, unless the hook or its connection overrides it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.default_config = Config()
        # A session of boto3 must not make clients in two threads at once.
        self._making = threading.RLock()

    @cached_property
    def client(self) -> SageMakerClient:
        """The calls of this package, with this connection, region and configuration."""
        return SageMakerClient(self)

    @property
    def name(self) -> str:
        """The connection's id."""
        return self.aws_conn_id or "default"

    @property
    def config(self) -> Config:
        """Botocore's Config: the hook's, or the connection's if the hook has none, over the defaults."""
        return self.default_config.merge(super().config)

    @cached_property
    def conn_config(self) -> AwsConnectionWrapper:
        """The Airflow connection, whose extra the provider uses without checking it.

        :raises SettingsError: the extra, or a part of it that is read here, has the wrong shape.
        :raises AirflowConnectionError: it could not be read; see :class:`CheckedConnectionMixin`.
        """
        where = f"extra of connection {self.aws_conn_id!r}"
        try:
            config: AwsConnectionWrapper = super().conn_config
        except (AirflowException, AttributeError, TypeError, ValueError) as error:
            raise SettingsError(
                f"The {where} cannot be read: {error}. Expected a JSON object as "
                "https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/connections/aws.html "
                "describes. Correct it."
            ) from error
        services = table(config.service_config, f"{where}, service_config")
        table(services.get("sagemaker", {}), f"{where}, service_config.sagemaker")
        return config

    @cached_property
    def settings(self) -> PipelineSettings:
        """The environment of this connection, from its extra and the settings file.

        :raises SettingsError: a setting is unknown or malformed.
        """
        return PipelineSettings.load(
            self.conn_config.get_service_config("sagemaker"),
            connection_id=self.aws_conn_id,
            file=conf.get("sagemaker_pipelines", "settings_file", fallback="") or None,
        )

    def boto3_client(self, service: str) -> Any:
        """Return a boto3 client of a service, with this hook's connection, region and configuration.

        :raises SettingsError: the endpoint is not a URL.
        """
        return self.conn if service == "sagemaker" else self._further_client(service, self.config)

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """Return boto3's session of the connection, one for all clients of this hook in its region."""
        if deferrable or region_name != self.region_name:
            return super().get_session(region_name=region_name, deferrable=deferrable)
        return self._session

    @cached_property
    def _session(self) -> Any:
        return super().get_session(region_name=self.region_name)

    def get_client_type(self, *args: Any, **kwargs: Any) -> Any:
        """Return the provider's new boto3 client of SageMaker, made to refuse broken answers.

        :raises SettingsError: the endpoint is not a URL.
        """
        return self._made(lambda: super(SageMakerPipelineHook, self).get_client_type(*args, **kwargs))

    def kill_client(self) -> Any:
        """Return another client of SageMaker, with short timeouts, for use in a signal handler.

        The hook's own client may be in the middle of a call then, and hold its locks.
        """
        short = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
        return self._further_client("sagemaker", self.config.merge(short))

    def _further_client(self, service: str, config: Config) -> Any:
        """Return a client whose user agent names the same operator as that of the hook's first client.

        The provider would look for the operator once more, which reads the source of every function on the
        stack and takes as long as making the client.
        """
        agent = Config(user_agent_extra=self.conn.meta.config.user_agent_extra)
        return self._made(
            lambda: self.get_session(region_name=self.region_name).client(
                service,
                endpoint_url=self.conn_config.get_service_endpoint_url(service),
                config=config.merge(agent),
                verify=self.verify,
            )
        )

    def _made(self, make: Callable[[], Any]) -> Any:
        try:
            with self._making:
                client = make()
        except ValueError as error:
            if isinstance(error, BotoCoreError):
                raise
            raise SettingsError(
                f"{error}. Expected a URL such as http://127.0.0.1:4566: correct --endpoint-url, "
                "AWS_ENDPOINT_URL, or endpoint_url in the extra of the Airflow connection."
            ) from error
        return refuse_broken_answers(client)

    def masked(self, value: Any) -> Any:
        """Return JSON types, with the values masked that Airflow masks."""
        return masked(value)

    def renew(self) -> None:
        """Read the connection and its credentials again for the next client."""
        for name in ("conn", "conn_config", "_session"):
            self.__dict__.pop(name, None)
