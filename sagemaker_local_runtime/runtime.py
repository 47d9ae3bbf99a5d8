"""The composition root: build the services of one local runtime and give each what it needs."""

from __future__ import annotations

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.engine.execution import ExecutionService
from sagemaker_local_runtime.engine.services import Services
from sagemaker_local_runtime.engine.steps import NOT_EXECUTED
from sagemaker_local_runtime.faults import FaultPlan
from sagemaker_local_runtime.functions.service import FunctionService
from sagemaker_local_runtime.hosting.service import EndpointService
from sagemaker_local_runtime.jobs import JobService
from sagemaker_local_runtime.services.events import EventPublisher
from sagemaker_local_runtime.services.models import ModelRegistry
from sagemaker_local_runtime.services.schedule_clock import ScheduleClock
from sagemaker_local_runtime.services.storage import Storage
from sagemaker_local_runtime.stubs.service import StubService
from sagemaker_local_runtime.tuning.service import TuningService


class Runtime:
    """The services of one local runtime; the actions in ``api/`` call them.

    :param account: what all of them work with.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.faults = FaultPlan()
        self.storage = Storage(account)
        self.events = EventPublisher(account)
        self.models = ModelRegistry(account, self.storage, self.events)
        self.jobs = JobService(account, self.storage, self.models, self.faults)
        self.tuning = TuningService(account, self.jobs, self.faults)
        self.functions = FunctionService(account, self.jobs)
        self.endpoints = EndpointService(account, self.storage, self.models, self.jobs)
        self.stubs = StubService(account, self.storage, self.jobs, NOT_EXECUTED)
        self.executions = ExecutionService(
            Services(
                account=account,
                jobs=self.jobs,
                tuning=self.tuning,
                functions=self.functions,
                endpoints=self.endpoints,
                stubs=self.stubs,
                models=self.models,
                storage=self.storage,
                events=self.events,
            )
        )
        self.schedules = ScheduleClock(account.settings.account_id, self.executions.start)

    def recover(self) -> None:
        """Mark as failed what an earlier process left running; called once, before the first request.

        :raises SettingsError: the isolation of jobs that the settings ask for is not available.
        """
        self.jobs.recover()
        self.tuning.recover()
        self.functions.recover()
        self.endpoints.recover()
        self.stubs.recover()
        self.executions.recover()

    def shutdown(self) -> None:
        """Stop whatever is still running; the endpoint must still be able to answer the services' calls."""
        for service in (
            self.schedules,
            # A step waits for its function, whatever happens.
            self.functions,
            self.executions,
            self.endpoints,
            self.stubs,
            self.tuning,
            self.jobs,
            self.events,
        ):
            service.shutdown()
