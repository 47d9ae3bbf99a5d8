"""The services that executions and their steps use."""

from __future__ import annotations

from dataclasses import dataclass, field

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.engine.callbacks import Callbacks
from sagemaker_local_runtime.functions.service import FunctionService
from sagemaker_local_runtime.hosting.service import EndpointService
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.services.events import EventPublisher
from sagemaker_local_runtime.services.models import ModelRegistry
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.stubs.service import StubService
from sagemaker_local_runtime.tuning.service import TuningService


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that the engine and its steps call.

    :param account: its store keeps the executions.
    :param jobs: runs the jobs of steps.
    :param tuning: runs the tuning jobs of steps.
    :param functions: runs the functions of Lambda steps.
    :param endpoints: keeps and serves the endpoints that steps create.
    :param stubs: gives the outputs of steps that are not executed.
    :param models: keeps the models and model packages that steps create.
    :param storage: where property files are.
    :param events: publishes every change of a status.
    :param callbacks: the callbacks that steps wait for.
    """

    account: Account
    jobs: JobService
    tuning: TuningService
    functions: FunctionService
    endpoints: EndpointService
    stubs: StubService
    models: ModelRegistry
    storage: Storage
    events: EventPublisher
    callbacks: Callbacks = field(default_factory=Callbacks)
