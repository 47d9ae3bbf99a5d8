"""What the triggers of this package have in common: the connection, and how they are serialized."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

from airflow.triggers.base import BaseTrigger

from sagemaker_pipelines.hooks.pipeline import POLLING_CONFIG, SageMakerPipelineHook


class AwsTrigger(BaseTrigger):
    """A trigger that calls AWS.

    A subclass stores each of its own arguments in an attribute of the same name, and lists them in
    :attr:`arguments`.

    :param aws_conn_id: the Airflow connection.
    :param region_name: the region; None uses the connection's.
    :param verify: whether or with which CA bundle to check certificates.
    :param botocore_config: keywords of botocore's Config.
    :cvar arguments: the names of the subclass's own arguments.
    """

    arguments: tuple[str, ...] = ()
    connection_arguments = ("aws_conn_id", "region_name", "verify", "botocore_config")

    def __init__(
        self,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that create an equal trigger."""
        names = (*self.arguments, *self.connection_arguments)
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    def hook(self) -> SageMakerPipelineHook:
        """Return the hook with which this trigger calls AWS, configured for polling."""
        hook = SageMakerPipelineHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )
        hook.default_config = POLLING_CONFIG
        return hook

    @property
    def connection(self) -> Hashable:
        """The key that distinguishes the connections of different triggers."""
        config = json.dumps(self.botocore_config, sort_keys=True, default=str)
        return self.aws_conn_id, self.region_name, self.verify, config
