"""What the triggers of this package have in common: the connection, and how they are serialized."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from contextlib import aclosing
from typing import Any

from airflow.providers.common.compat.sdk import conf
from airflow.sdk.exceptions import AirflowConfigException
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from sagemaker_pipelines.airflow_internals import RuntimeTaskInstance
from sagemaker_pipelines.hooks.pipeline import POLLING_CONFIG, SageMakerPipelineHook

#: The states of a task that has ended.
TASK_IS_OVER = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})

log = logging.getLogger(__name__)


def option(name: str, default: float) -> float:
    """Return a number of Airflow's section ``[sagemaker_pipelines]``.

    :param name: the option.
    :param default: what is used, with a warning, instead of what is not a number.
    """
    try:
        return float(conf.getfloat("sagemaker_pipelines", name, fallback=default))
    except (AirflowConfigException, ValueError) as error:
        # Otherwise triggers would wait for ever.
        log.warning(
            "[sagemaker_pipelines] %s is not a number (%s); %g is used. Correct it, and restart the "
            "triggerer.",
            name,
            error,
            default,
        )
        return default


def settle_seconds() -> float:
    """Return Airflow's option ``[sagemaker_pipelines] settle_seconds``, default 5."""
    return max(0.0, option("settle_seconds", 5.0))


class AwsTrigger(BaseTrigger):
    """A trigger that calls AWS.

    A subclass stores each of its own arguments in an attribute of the same name, and lists them in
    :attr:`arguments` or :attr:`added_arguments`.

    :param aws_conn_id: the Airflow connection.
    :param region_name: the region; None uses the connection's.
    :param verify: whether or with which CA bundle to check certificates.
    :param botocore_config: keywords of botocore's Config.
    :cvar arguments: the names of the subclass's own arguments.
    :cvar added_arguments: those of a later version, which are stored only if they are not None, because a
        triggerer of an older version does not know them.
    """

    arguments: tuple[str, ...] = ()
    added_arguments: tuple[str, ...] = ()
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
        added = (name for name in self.added_arguments if getattr(self, name) is not None)
        names = (*self.arguments, *added, *self.connection_arguments)
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

    @property
    def ti(self) -> Any:
        """The task instance that deferred to this trigger.

        :raises RuntimeError: the trigger has none, as in an asset watcher.
        """
        if self.task_instance is None:
            raise RuntimeError("the trigger has no task instance")
        return self.task_instance

    async def task_states(self, task_ids: Sequence[str], **which: Any) -> list[str | None]:
        """Return the states of tasks in the run of this trigger.

        :param task_ids: the tasks.
        :param which: more arguments of Airflow's function, such as ``map_index``.
        """
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=self.ti.dag_id, task_ids=list(task_ids), run_ids=[self.ti.run_id], **which
        )
        # A mapped task instance is named by task id and map index.
        return list(states.get(self.ti.run_id, {}).values())


class WorkerTrigger(AwsTrigger):
    """A trigger to which the process of a task defers.

    Airflow 3.3 fails an attempt that is running again when the executor reports the end of the process that
    deferred it. So what has happened already is told when that report has arrived.
    """

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch, and yield no event in the first :func:`settle_seconds`."""
        settled = time.monotonic() + settle_seconds()
        async with aclosing(self.watch()) as events:
            async for event in events:
                await asyncio.sleep(max(0.0, settled - time.monotonic()))
                yield event

    @abstractmethod
    def watch(self) -> AsyncGenerator[TriggerEvent, None]:
        """Yield the events."""
