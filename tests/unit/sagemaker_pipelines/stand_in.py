"""A hook whose calls and judgements a test overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from sagemaker_pipelines.aws import gate, model_packages, outcome, record
from sagemaker_pipelines.aws.account import Account
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

#: Functions that a stand-in may have as methods, and the modules that use them.
JUDGEMENTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "execution_outcome": (outcome, ("task.waiting", "task.resuming", "operators.evaluation")),
    "execution_record": (record, ("task.publishing",)),
    "approval_status": (model_packages, ("operators.evaluation",)),
    "read_gate": (gate, ("operators.evaluation",)),
    "registered_model_package": (model_packages, ("operators.evaluation",)),
}


class _OwnClient(SageMakerClient):
    def __init__(self) -> None:
        super().__init__(cast("Account", self))


class StandIn(SageMakerPipelineHook, _OwnClient):
    """It is its own client; a subclass overrides what the code under test calls."""

    def __init__(self) -> None:
        # The hook's base class calls the next __init__.
        super().__init__(aws_conn_id=None, region_name="us-east-1")

    @property
    def client(self) -> SageMakerClient:
        return self

    def execution_record(
        self, pipeline_execution_arn: str, *, earlier: Any = None, **judged: Any
    ) -> record.ExecutionRecord:
        return record.ExecutionRecord(
            pipeline_execution_arn=pipeline_execution_arn, status="Succeeded", **judged
        )


def judgements() -> list[tuple[str, Callable[..., Any]]]:
    """Return what to patch, so that a stand-in's own judgements are used."""

    def asked(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def ask(client: Any, *arguments: Any, **options: Any) -> Any:
            own = getattr(client, name, None)
            return own(*arguments, **options) if own else real(client, *arguments, **options)

        return ask

    return [
        (f"sagemaker_pipelines.{user}.{name}", asked(name, getattr(module, name)))
        for name, (module, users) in JUDGEMENTS.items()
        for user in users
    ]
