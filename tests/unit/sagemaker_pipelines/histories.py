"""An Airflow and a SageMaker in memory, in which every call of a task is a point where anything may happen.

The tasks run the real operators' code. Each try is a greenlet that pauses before and after every call, so
that several tries overlap, and one that is never continued is a process that got SIGKILL.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import greenlet
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSensorTimeout, TaskDeferred
from botocore.exceptions import ClientError, ReadTimeoutError

from sagemaker_pipelines.aws.outcome import ExecutionOutcome
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import ExecutionFailedError, ExecutionStoppedError, FailureCause
from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.records import StartRecord
from sagemaker_pipelines.task.sweeping import AirflowRuns, Finding, Judge, RunState
from tests.unit.sagemaker_pipelines.samples import PIPELINE_ARN, gated_definition
from tests.unit.sagemaker_pipelines.stand_in import StandIn

DAG_ID, RUN_ID, DEPLOYMENT = "train", "run", "0123456789abcdef"
START, WAIT = "start", "wait"
ENDED = ("success", "failed")
RETRIES = 2


class Violation(AssertionError):
    """Something happened that never may."""


@dataclass
class Execution:
    """One execution of the pipeline.

    :ivar may_stop: whether somebody has asked for its stop: a person, or Airflow by a kill of its task.
    """

    arn: str
    description: str
    generation: str
    status: str = "Executing"
    may_stop: bool = False


class SageMaker(StandIn):
    """The account, behind the hook's calls; a call may be throttled, or its answer lost."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.executions: dict[str, Execution] = {}
        self.tokens: dict[str, str] = {}
        self.fault: str | None = None

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        fault, self.fault = self.fault, None
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, name)
        self.world.pause(f"before {name}")
        yield
        self.world.pause(f"after {name}")
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="https://sagemaker")

    def start_execution(self, request: dict[str, Any]) -> str:
        with self._call("start"):
            return self.start_now(request)

    def start_now(self, request: dict[str, Any]) -> str:
        token, description = request["ClientRequestToken"], request["PipelineExecutionDescription"]
        if token not in self.tokens:
            start = LogicalStart.parse(description)
            assert start is not None
            arn = f"{PIPELINE_ARN}/execution/{len(self.executions):012}"
            self.executions[arn] = Execution(arn, description, start.generation)
            self.tokens[token] = arn
        return self.tokens[token]

    def find_execution(
        self, pipeline_name: str, *, generation: str, created_after: datetime, sagemaker: Any = None
    ) -> str | None:
        if sagemaker is not None:
            return self.find_now(generation)
        with self._call("find"):
            return self.find_now(generation)

    def find_now(self, generation: str) -> str | None:
        return next((arn for arn, item in self.executions.items() if generation in item.description), None)

    def describe_execution(self, pipeline_execution_arn: str) -> dict[str, Any]:
        with self._call("describe"):
            item = self.executions[pipeline_execution_arn]
            return {"PipelineExecutionStatus": item.status, "PipelineExecutionDescription": item.description}

    def list_steps(self, pipeline_execution_arn: str) -> list[Step]:
        return []

    def retry_execution(self, pipeline_execution_arn: str, *, token: str) -> None:
        with self._call("retry"):
            item = self.executions[pipeline_execution_arn]
            if token in self.tokens:
                return
            if item.status not in ("Failed", "Stopped"):
                raise ClientError({"Error": {"Code": "ValidationException", "Message": "runs"}}, "retry")
            self.tokens[token] = pipeline_execution_arn
            item.status, item.may_stop = "Executing", False

    def describe_owner(self, pipeline_execution_arn: str, description: str | None) -> None:
        if description is not None:
            self.executions[pipeline_execution_arn].description = description

    def execution_outcome(
        self, pipeline_execution_arn: str, *, rejection_steps: Any = None
    ) -> ExecutionOutcome:
        status = self.executions[pipeline_execution_arn].status
        if status == "Succeeded":
            return ExecutionOutcome(pipeline_execution_arn=pipeline_execution_arn, status=status)
        if status == "Stopped":
            raise ExecutionStoppedError(pipeline_execution_arn, status)
        cause = FailureCause(step_name="Train", reason="exit code 1", is_fail_step=False)
        raise ExecutionFailedError(pipeline_execution_arn, status, None, [cause])

    def deployed_definition(self, *_: Any, **__: Any) -> dict[str, Any]:
        return gated_definition()

    def kill_client(self) -> Any:
        return KillClient(self)

    @property
    def conn(self) -> Any:
        return KillClient(self)


class KillClient:
    """The boto3 client of on_kill; nothing else runs in the process meanwhile."""

    def __init__(self, sagemaker: SageMaker) -> None:
        self.sagemaker = sagemaker

    def start_pipeline_execution(self, **request: Any) -> dict[str, str]:
        if request["ClientRequestToken"] not in self.sagemaker.tokens:
            generation = LogicalStart.parse(request["PipelineExecutionDescription"])
            assert generation is not None
            sent = self.sagemaker.world.processes_that_sent(generation.generation)
            if not sent:
                raise Violation("a kill starts an execution that no try had begun to start")
        arn = self.sagemaker.start_now(request)
        self.sagemaker.executions[arn].may_stop = True
        return {"PipelineExecutionArn": arn}

    def stop_pipeline_execution(self, PipelineExecutionArn: str) -> None:
        item = self.sagemaker.executions[PipelineExecutionArn]
        if item.status == "Executing":
            if not (item.may_stop or self.sagemaker.world.owns_a_kill(item)):
                raise Violation(f"{item} is stopped, and nobody has asked for it")
            item.status = "Stopping"

    def describe_pipeline_execution(self, PipelineExecutionArn: str) -> dict[str, str]:
        return {"PipelineExecutionStatus": self.sagemaker.executions[PipelineExecutionArn].status}

    def list_pipeline_execution_steps(self, **_: Any) -> dict[str, Any]:
        return {"PipelineExecutionSteps": []}


class Process:
    """One try of a task, or its continuation after the triggerer.

    :ivar at: the call, of which it is just before or after.
    :ivar sent: the generations of the starts that it has begun to send.
    """

    def __init__(self, task: Task, operator: Any, code: greenlet.greenlet) -> None:
        self.task = task
        self.operator = operator
        self.code = code
        self.at = "begin"
        self.sent: set[str] = set()
        self.killed = False

    def __repr__(self) -> str:
        return f"{self.task} at {self.at}"


class Task:
    """A task instance, as the scheduler and the database know it."""

    def __init__(self, task_id: str, make: Callable[[], Any]) -> None:
        self.task_id = task_id
        self.make = make
        self.state = "none"
        self.try_number = 0
        self.max_tries = RETRIES
        self.store: dict[str, str] = {}
        self.xcom: dict[str, Any] = {}
        self.process: Process | None = None
        self.deferral: TaskDeferred | None = None

    def __repr__(self) -> str:
        return f"{self.task_id} ({self.state}, try {self.try_number} of {self.max_tries + 1})"

    def context(self, world: World) -> dict[str, Any]:
        ti = SimpleNamespace(
            dag_id=DAG_ID,
            run_id=RUN_ID,
            task_id=self.task_id,
            map_index=-1,
            max_tries=self.max_tries,
            xcom_push=lambda key, value: self.xcom.update({key: value}),
        )
        run = SimpleNamespace(run_type="manual", conf=None, clear_number=world.clear_number)
        return {
            "ti": ti,
            "dag_run": run,
            "task_state_store": Store(self.store),
            "var": {"value": Variables()},
        }


class Store:
    """The task state store: it outlives tries and clears."""

    def __init__(self, kept: dict[str, str]) -> None:
        self.kept = kept

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.kept[key] = json.dumps(value)


class Variables:
    """Airflow's variables, with this deployment's id."""

    def get(self, key: str, default: Any = None) -> str:
        return DEPLOYMENT


class World:
    """One DAG run with its start and, unless the start waits itself, a task that waits.

    :param waits_itself: whether the start waits for completion.
    :param deferrable: whether the task that waits is deferred.
    """

    def __init__(self, *, waits_itself: bool, deferrable: bool) -> None:
        self.now = 0.0
        self.clear_number = 0
        self.run_ended = False
        self.cleared: set[str] = set()
        self.closed = False
        self.processes: list[Process] = []
        self.sagemaker = SageMaker(self)
        self.running: Process | None = None

        def start() -> Any:
            return SageMakerStartPipelineExecutionOperator(
                task_id=START,
                pipeline_name="dev-gated",
                check_interval=1,
                wait_for_completion=waits_itself,
                deferrable=waits_itself and deferrable,
            )

        def wait() -> Any:
            arn = self.tasks[START].xcom["return_value"]
            return SageMakerPipelineExecutionSensor(
                task_id=WAIT, pipeline_exec_arn=arn, poke_interval=1, deferrable=deferrable
            )

        self.tasks = {START: Task(START, start)}
        if not waits_itself:
            self.tasks[WAIT] = Task(WAIT, wait)
        self._patches = self._patched()
        for item in self._patches:
            item.start()

    def _patched(self) -> list[Any]:
        clock = SimpleNamespace(sleep=self.sleep, monotonic=lambda: self.now, time=lambda: self.now)
        modules = ("task.killing", "task.resuming", "task.waiting", "aws.stopping")
        return [
            *(patch(f"sagemaker_pipelines.{module}.time", clock) for module in modules),
            patch("airflow.sdk.bases.sensor.time.sleep", self.sleep),
            patch("sagemaker_pipelines.triggers.pipeline.in_thread", _at_once),
            patch.object(ExecutorSafeguard, "test_mode", True),
        ]

    def close(self) -> None:
        self.closed = True
        for item in self._patches:
            item.stop()

    # -- What the code of a try sees -----------------------------------------------------------------

    def pause(self, where: str) -> None:
        """Let the history decide what happens now; outside of a try there is nothing to decide."""
        process = self.running
        if process is None or greenlet.getcurrent() is not process.code:
            return
        if where == "before start":
            process.sent.update(self._generation_of(process.task))
        process.code.parent.switch(where)

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 5.0)
        self.pause("sleeping")

    def _generation_of(self, task: Task) -> list[str]:
        record = task.store.get(StartRecord.KEY)
        return [json.loads(record)["generation"]] if record else []

    def processes_that_sent(self, generation: str) -> list[Process]:
        return [process for process in self.processes if generation in process.sent]

    def owns_a_kill(self, execution: Execution) -> bool:
        """Return whether a user has cleared the execution's start, or its run has ended."""
        return self.run_ended or execution.generation in self.cleared

    # -- What Airflow does ---------------------------------------------------------------------------

    def begin(self, task: Task) -> None:
        """Start the task's next try."""
        if task.state != "up_for_reschedule":
            task.try_number += 1
            task.xcom = {}
        self._spawn(task, task.make(), lambda operator: operator.execute(task.context(self)))

    def fire(self, task: Task) -> None:
        """Let the trigger see the execution's end, and the task go on."""
        assert task.deferral is not None
        event = {
            "event": "ended",
            "pipeline_execution_arn": task.deferral.trigger.pipeline_execution_arn,
            "status": "?",
            "message": None,
        }
        task.deferral = None
        self._spawn(task, task.make(), lambda operator: operator.execute_complete(task.context(self), event))

    def _spawn(self, task: Task, operator: Any, code: Callable[[Any], Any]) -> None:
        operator.__dict__["hook"] = self.sagemaker
        task.state = "running"
        task.process = Process(task, operator, greenlet.greenlet(lambda: code(operator)))
        self.processes.append(task.process)

    def advance(self, process: Process, fault: str | None = None) -> None:
        """Let a try run on to its next call, or its end."""
        self.sagemaker.fault = fault
        self.running = process
        try:
            answer = process.code.switch()
        except Violation:
            raise
        except TaskDeferred as deferral:
            self._end(process, "deferred", deferral=deferral)
        except AirflowRescheduleException:
            self._end(process, "up_for_reschedule")
        except (AirflowFailException, AirflowSensorTimeout):
            self._end(process, "failed")
        except Exception:
            self._end(process, "retry")
        else:
            if process.code.dead:
                self._end(process, "success", answer=answer)
            else:
                process.at = answer
        finally:
            self.running = None
            self.sagemaker.fault = None

    def _end(
        self, process: Process, state: str, *, answer: Any = None, deferral: TaskDeferred | None = None
    ) -> None:
        self.processes.remove(process)
        task = process.task
        if task.process is not process:
            return  # Airflow has given it up, and takes no word of it.
        task.process, task.deferral = None, deferral
        if process.killed:
            return
        if state == "success":
            task.xcom["return_value"] = answer
        task.state = self._after_failure(task) if state == "retry" else state

    @staticmethod
    def _after_failure(task: Task) -> str:
        return "up_for_retry" if task.try_number <= task.max_tries else "failed"

    def lose(self, process: Process) -> None:
        """Kill a process with SIGKILL; Airflow notices by its heartbeat."""
        self.processes.remove(process)
        if process.task.process is process:
            process.task.process = None
            process.task.state = self._after_failure(process.task)

    def give_up(self, process: Process) -> None:
        """Let Airflow take the process for dead, while it lives on."""
        process.task.process = None
        process.task.state = self._after_failure(process.task)

    def kill(self, process: Process) -> None:
        """Tell a process to end, as Airflow does: by on_kill, after which it runs on for a moment."""
        process.killed = True
        self._ask_for_stop(process.operator._watched_arn, process.task)
        process.operator.on_kill()

    def evict(self, process: Process) -> None:
        """Let the worker's pod be evicted: on_kill, and the next try."""
        self.kill(process)
        self.give_up(process)

    def clear(self, task: Task) -> None:
        """Clear a task as a user does, and with it what follows it."""
        if task.task_id == START:
            self.cleared.update(self._generation_of(task))
        self.clear_number += 1
        later = [self.tasks[WAIT]] if task.task_id == START and WAIT in self.tasks else []
        for cleared in [task, *later]:
            self._clear(cleared)

    def _clear(self, task: Task) -> None:
        if task.process is not None:
            process = task.process
            self.kill(process)
            task.process = None
        elif task.state != "none":
            task.max_tries = task.try_number + RETRIES
            self.kill_trigger(task, "scheduled")
        task.state = "none" if task.task_id == WAIT else "scheduled"

    def mark(self, task: Task, state: str) -> None:
        """Mark a task as failed or successful, as a user does."""
        if task.process is not None:
            self.kill(task.process)
            task.process = None
        self.kill_trigger(task, state)
        task.state = state

    def kill_trigger(self, task: Task, new_state: str) -> None:
        """Let the triggerer kill the trigger of a task, which has another state by then."""
        if task.deferral is None:
            return
        trigger, task.deferral = task.deferral.trigger, None
        self._ask_for_stop(trigger.pipeline_execution_arn, task)
        self._kill(trigger, new_state)

    def move_trigger(self, task: Task) -> None:
        """Let another triggerer take the trigger; the slow one is told to kill its own."""
        assert task.deferral is not None
        self._kill(task.deferral.trigger, "deferred")

    def _kill(self, trigger: Any, state: str) -> None:
        ti = SimpleNamespace(dag_id=DAG_ID, run_id=RUN_ID, task_id="any", map_index=-1)
        trigger._task_instance = ti
        trigger.hook = lambda: self.sagemaker
        states = "sagemaker_pipelines.triggers.pipeline.RuntimeTaskInstance.get_task_states"
        with patch(states, lambda **_: {RUN_ID: {"any": state}}):
            asyncio.run(trigger.on_kill())

    def _ask_for_stop(self, arn: str | None, task: Task) -> None:
        generations = self._generation_of(task)
        for item in self.sagemaker.executions.values():
            if item.arn == arn or item.generation in generations:
                item.may_stop = True

    # -- What SageMaker and people do ----------------------------------------------------------------

    def end_execution(self, status: str) -> None:
        for item in self.sagemaker.executions.values():
            if item.status == "Executing" and status != "Stopped":
                item.status = status
            elif item.status == "Stopping":
                item.status = "Stopped"

    def forget_tokens(self) -> None:
        """Let SageMaker forget all tokens but those of calls that are on their way: it remembers minutes."""
        on_their_way = {
            generation
            for process in self.processes
            if process.at == "before start"
            for generation in process.sent
        }
        for token, arn in list(self.sagemaker.tokens.items()):
            if self.sagemaker.executions[arn].generation not in on_their_way:
                del self.sagemaker.tokens[token]

    def stop_in_studio(self) -> None:
        for item in self.sagemaker.executions.values():
            if item.status == "Executing":
                item.status = "Stopping"

    # -- What must hold ------------------------------------------------------------------------------

    def check(self) -> None:
        """Check what holds at any time."""
        begun = Counter(item.generation for item in self.sagemaker.executions.values())
        if any(count > 1 for count in begun.values()):
            raise Violation(f"a start has begun more than one execution: {begun}")
        start = self.tasks[START]
        if start.state == "success" and "return_value" in start.xcom:
            generations = self._generation_of(start)
            if [begun[generation] for generation in generations] != [1]:
                raise Violation(f"the start has succeeded, and has begun {begun}")

    def sweep(self) -> None:
        """End the run, sweep, and check that nothing is left that nobody owns."""
        for process in list(self.processes):
            self.lose(process)
        self.run_ended = True
        judge = Judge(Runs(self), deployment=DEPLOYMENT)
        for item in self.sagemaker.executions.values():
            if item.status != "Executing":
                continue
            start = LogicalStart.parse(item.description)
            finding = start and judge.judge(item.arn, start)[0]
            if finding is not Finding.ORPHAN:
                raise Violation(f"{item} runs on, and the sweep takes it for {finding}")


class Runs(AirflowRuns):
    """What the sweep asks Airflow: the one run has ended."""

    def __init__(self, world: World) -> None:
        self.world = world

    def state(self, start: LogicalStart) -> RunState:
        return RunState.ENDED

    def executions_of(self, start: LogicalStart, task: str, map_index: int = -1) -> set[str]:
        return set()


async def _at_once(function: Callable[[], Any], **_: Any) -> Any:
    return function()
