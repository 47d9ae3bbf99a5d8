"""An Airflow and a SageMaker in memory, in which every call of a task is a point where anything may happen.

The tasks run the real operators' code. Each try is a greenlet that pauses before and after every call, so
that several tries overlap, and one that is never continued is a process that got SIGKILL.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import greenlet
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSensorTimeout, TaskDeferred

from sagemaker_pipelines.operators.pipeline import SageMakerStartPipelineExecutionOperator
from sagemaker_pipelines.sensors.pipeline import SageMakerPipelineExecutionSensor
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.records import StartRecord
from sagemaker_pipelines.task.sweeping import AirflowRuns, Finding, Judge, RunState
from sagemaker_pipelines.task.waiting import XCOM_EXECUTION_ARN
from tests.unit.sagemaker_pipelines.histories_sagemaker import Execution, SageMaker, Violation

DAG_ID, RUN_ID, DEPLOYMENT = "train", "run", "0123456789abcdef"
START, WAIT = "start", "wait"
ENDED = ("success", "failed")
RETRIES = 2


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the tasks of a run are declared.

    :param waits_itself: whether the start waits for completion.
    :param deferrable: whether the task that waits is deferred.
    :param resumes: whether the start resumes what a run before has begun.
    :param start_stops: ``stop_on_kill`` of the start.
    :param wait_stops: ``stop_on_kill`` of the wait.
    :param resume_on_retry: of both.
    """

    waits_itself: bool
    deferrable: bool
    resumes: bool = False
    start_stops: bool = True
    wait_stops: bool = True
    resume_on_retry: bool = True


class Process:
    """One try of a task, or its continuation after the triggerer.

    :ivar ti_id: the id of the task instance that it began with.
    :ivar at: the call, of which it is just before or after.
    :ivar sent: the generations of the starts that it has begun to send.
    :ivar is_sure: whether on_kill has found all that the process has begun.
    """

    def __init__(self, task: Task, operator: Any, code: greenlet.greenlet) -> None:
        self.task = task
        self.operator = operator
        self.code = code
        self.ti_id = task.ti_id
        self.at = "begin"
        self.sent: set[str] = set()
        self.killed = False
        self.is_sure = False

    def __repr__(self) -> str:
        return f"{self.task} at {self.at}"


class Task:
    """A task instance, as the scheduler and the database know it.

    :ivar ti_id: the id of the task instance; a retry and a clear give it another one.
    :ivar marked: the generations of what a user's mark has ended, and what must not run any longer.
    """

    def __init__(self, task_id: str, make: Callable[[], Any]) -> None:
        self.task_id = task_id
        self.make = make
        self.state = "none"
        self.ti_id = 0
        self.try_number = 0
        self.max_tries = RETRIES
        self.store: dict[str, str] = {}
        self.xcom: dict[str, Any] = {}
        self.process: Process | None = None
        self.deferral: TaskDeferred | None = None
        self.marked: set[str] = set()

    def __repr__(self) -> str:
        return f"{self.task_id} ({self.state}, try {self.try_number} of {self.max_tries + 1})"

    def context(self, world: World) -> dict[str, Any]:
        def xcom_push(key: str, value: Any) -> None:
            world.airflow("xcom")
            self.xcom[key] = value

        def xcom_pull(*, task_ids: str, key: str, **_: Any) -> Any:
            world.airflow("xcom")
            return world.tasks[task_ids].xcom.get(key)

        def get_task_states(**_: Any) -> dict[str, dict[str, str]]:
            world.airflow("states")
            world.left_to_wait.update(world.watched())
            return {RUN_ID: {task_id: task.state for task_id, task in world.tasks.items()}}

        ti = SimpleNamespace(
            dag_id=DAG_ID,
            run_id=RUN_ID,
            task_id=self.task_id,
            map_index=-1,
            max_tries=self.max_tries,
            xcom_push=xcom_push,
            xcom_pull=xcom_pull,
            get_task_states=get_task_states,
        )
        run = SimpleNamespace(run_type="manual", conf=None, clear_number=world.clear_number)
        return {
            "ti": ti,
            "dag_run": run,
            "task_state_store": Store(self.store, world),
            "var": {"value": Variables()},
        }


class Store:
    """The task state store: it outlives attempts and clears.

    Airflow no longer knows the id of an attempt that was retried or cleared: the attempt finds nothing there,
    and cannot write.
    """

    def __init__(self, kept: dict[str, str], world: World) -> None:
        self.kept = kept
        self.world = world

    def get(self, key: str, default: Any = None) -> Any:
        self.world.airflow("get")
        return json.loads(self.kept[key]) if key in self.kept and self._is_known() else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.world.airflow("set")
        if not self._is_known():
            raise RuntimeError("404: the task instance is not found")
        self.kept[key] = json.dumps(value)

    def _is_known(self) -> bool:
        process = self.world.running
        return process is None or process.ti_id == process.task.ti_id


class Variables:
    """Airflow's variables, with this deployment's id."""

    def get(self, key: str, default: Any = None) -> str:
        return DEPLOYMENT


class World:
    """One DAG run with its start and, unless the start waits itself, a task that waits."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.now = 0.0
        self.clear_number = 0
        self.run_ended = False
        self.cleared: set[str] = set()
        self.had_succeeded: set[str] = set()
        self.to_replace: set[str] = set()
        self.left_to_wait: set[str | None] = set()
        self.fault: str | None = None
        self.closed = False
        self.processes: list[Process] = []
        self.sagemaker = SageMaker(self)
        self.running: Process | None = None
        self.source = self.sagemaker.begin_elsewhere() if options.resumes else None

        def start() -> Any:
            return SageMakerStartPipelineExecutionOperator(
                task_id=START,
                pipeline_name="dev-gated",
                check_interval=1,
                source_execution_arn=self.source,
                wait_for_completion=options.waits_itself,
                deferrable=options.waits_itself and options.deferrable,
                stop_on_kill=options.start_stops,
                resume_on_retry=options.resume_on_retry,
            )

        def wait() -> Any:
            # A template without a value; the start may be cleared while the wait is deferred.
            arn = self.tasks[START].xcom.get("return_value", "None")
            return SageMakerPipelineExecutionSensor(
                task_id=WAIT,
                pipeline_exec_arn=arn,
                poke_interval=1,
                deferrable=options.deferrable,
                stop_on_kill=options.wait_stops,
                resume_on_retry=options.resume_on_retry,
            )

        self.tasks = {START: Task(START, start)}
        if not options.waits_itself:
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
            self._check_alone(process)
        process.code.parent.switch(where)

    def airflow(self, name: str) -> None:
        """Let the history decide what happens before a call of Airflow's API, which may fail."""
        self.pause(f"before {name}")
        if self.take_fault("airflow"):
            raise RuntimeError("API_SERVER_ERROR")

    def take_fault(self, *faults: str) -> str | None:
        """Return the fault that the next call is to meet, once, if it is one of these."""
        if self.fault not in faults:
            return None
        fault, self.fault = self.fault, None
        return fault

    def runs_given_up(self) -> bool:
        """Return whether Airflow has given up the process that runs."""
        return self.running is not None and self.running.task.process is not self.running

    def sleep(self, seconds: float) -> None:
        in_process = self.running is not None and greenlet.getcurrent() is self.running.code
        self.now += max(seconds, 5.0) if in_process else seconds
        self.pause("sleeping")

    def _generation_of(self, task: Task) -> list[str]:
        record = task.store.get(StartRecord.KEY)
        return [json.loads(record)["generation"]] if record else []

    def _generations_of(self, task: Task) -> set[str]:
        """Return the generation of a start, and of the one that it is about to replace."""
        record = json.loads(task.store.get(StartRecord.KEY, "{}"))
        return {item["generation"] for item in (record, record.get("replaced") or {}) if item}

    def processes_that_sent(self, generation: str) -> list[Process]:
        return [process for process in self.processes if generation in process.sent]

    def owns_a_kill(self, execution: Execution) -> bool:
        """Return whether a user has cleared the execution's start, or its run has ended."""
        return self.run_ended or self._has_begun(self.cleared, execution)

    # -- What Airflow does ---------------------------------------------------------------------------

    def begin(self, task: Task) -> None:
        """Start the task's next try."""
        if task.state != "up_for_reschedule":
            task.try_number += 1
            task.xcom = {}
            task.marked = set()
        self._judge_clear(task)
        self._spawn(task, task.make(), lambda operator: operator.execute(task.context(self)))

    def _judge_clear(self, task: Task) -> None:
        """Note what a clear replaces, unless it looks as if Airflow had not heard of the start's success."""
        record = json.loads(task.store.get(StartRecord.KEY, "{}"))
        generation = record.get("generation")
        if generation in self.had_succeeded and record["succeeded"] and self.source is None:
            witness = record["witness"]
            execution = self.sagemaker.executions[record["pipeline_execution_arn"]]
            has_ended = witness["clear_number"] != self.clear_number and execution.status != "Executing"
            self.to_replace.discard(generation)
            if witness["max_tries"] != task.max_tries or has_ended:
                self.to_replace.add(generation)

    def fire(self, task: Task, kind: str = "ended") -> None:
        """Let the trigger see the execution's end, or give up, and the task go on."""
        assert task.deferral is not None
        event = {
            "event": kind,
            "pipeline_execution_arn": task.deferral.trigger.pipeline_execution_arn,
            "status": "?",
            "message": None,
        }
        task.deferral = None
        self._spawn(task, task.make(), lambda operator: operator.execute_complete(task.context(self), event))

    def _spawn(self, task: Task, operator: Any, code: Callable[[Any], Any]) -> None:
        def run() -> Any:
            answer = code(operator)
            # Airflow has yet to hear of it.
            self.airflow("return")
            return answer

        operator.__dict__["hook"] = self.sagemaker
        task.state = "running"
        task.process = Process(task, operator, greenlet.greenlet(run))
        self.processes.append(task.process)

    def advance(self, process: Process, fault: str | None = None) -> None:
        """Let a try run on to its next call, or its end."""
        self.fault = fault
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
            self.fault = None

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
        if task.try_number > task.max_tries:
            return "failed"
        task.ti_id += 1
        return "up_for_retry"

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
        operator = process.operator
        attempt = getattr(operator, "_attempt", None)
        # What it cannot know of yet is stopped by the code that goes on, if that is not cut off.
        knows = operator._watched_arn is not None or (attempt is not None and attempt.record is not None)
        process.is_sure = knows and process.at not in ("before retry", "after retry")
        arn = operator._watched_arn or getattr(operator, "pipeline_exec_arn", None)
        self._ask_for_stop(arn, process.task)
        operator.on_kill()

    def evict(self, process: Process) -> None:
        """Let the worker's pod be evicted: on_kill, and the next try."""
        self.kill(process)
        self.give_up(process)

    def clear(self, task: Task, retries: int = RETRIES, *, downstream: bool = True) -> None:
        """Clear a task as a user does.

        :param retries: of the DAG as it is by now.
        :param downstream: whether what follows it is cleared as well.
        """
        if task.task_id == START and self.options.start_stops:
            self.cleared.update(self._generations_of(task))
        if task.task_id == START and task.state == "success" and "return_value" in task.xcom:
            self.had_succeeded.update(self._generation_of(task))
        self.clear_number += 1
        later = [self.tasks[WAIT]] if downstream and task.task_id == START and WAIT in self.tasks else []
        for cleared in [task, *later]:
            self._clear(cleared, retries)

    def _clear(self, task: Task, retries: int) -> None:
        task.marked = set()
        task.ti_id += 1
        if task.process is not None:
            process = task.process
            self.kill(process)
            task.process = None
        elif task.state != "none":
            task.max_tries = task.try_number + retries
            self.kill_trigger(task, "scheduled")
        task.state = "none" if task.task_id == WAIT else "scheduled"

    def mark(self, task: Task, state: str) -> None:
        """Mark a task as failed or successful, as a user does."""
        # Nothing is told to what does not run.
        is_sure = task.deferral is not None
        if task.process is not None:
            self.kill(task.process)
            is_sure = task.process.is_sure
            task.process = None
        self.kill_trigger(task, state)
        task.state = state
        if is_sure and self._stops(task):
            task.marked = self._generations_of(task) | self._of_executions(task)

    def _stops(self, task: Task) -> bool:
        return self.options.start_stops if task.task_id == START else self.options.wait_stops

    def _of_executions(self, task: Task) -> set[str]:
        """Return the generations of what a task watches or resumes, which another start may have begun."""
        arns = {task.xcom.get(XCOM_EXECUTION_ARN), self.source if self._generations_of(task) else None}
        return {item.generation for item in self.sagemaker.executions.values() if item.arn in arns}

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
        states = "sagemaker_pipelines.triggers.base.RuntimeTaskInstance.get_task_states"
        with patch(states, lambda **_: {RUN_ID: {"any": state}}):
            asyncio.run(trigger.on_kill())

    def _ask_for_stop(self, arn: str | None, task: Task) -> None:
        if not self._stops(task):
            return
        generations = self._generations_of(task)
        for item in self.sagemaker.executions.values():
            if item.arn == arn or (not item.is_elsewhere and self._has_begun(generations, item)):
                item.may_stop = True

    def _has_begun(self, generations: set[str], item: Execution) -> bool:
        """Return whether an execution is that of a start, begun or resumed."""
        return item.generation in generations or (bool(generations) and item.arn == self.source)

    # -- What SageMaker and people do ----------------------------------------------------------------

    def end_execution(self, status: str) -> None:
        for item in self.sagemaker.executions.values():
            if item.status == "Executing" and status != "Stopped":
                item.status = status
            elif item.status == "Stopping":
                item.status = "Stopped"

    def forget_tokens(self) -> None:
        """Let SageMaker forget all tokens but those of starts between their last look and their call."""
        on_their_way = {
            process.operator._attempt.record.generation
            for process in self.processes
            if process.at in ("after find", "before start")
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
            if self.source is not None:
                if start.xcom["return_value"] != self.source or START not in self.sagemaker.asked_to_resume:
                    raise Violation("the start has succeeded, and has never tried to resume its source")
                return
            generations = self._generation_of(start)
            if [begun[generation] for generation in generations] != [1]:
                raise Violation(f"the start has succeeded, and has begun {begun}")
            if self.to_replace.intersection(generations):
                raise Violation("the start had succeeded, was cleared, and returns its old execution")

    def _check_alone(self, process: Process) -> None:
        """Check that nothing runs beside what the newest try of a start is about to begin."""
        if process.task.process is not process:
            return
        for item in self.sagemaker.executions.values():
            is_left = item.by_given_up or item.is_elsewhere or not self.options.start_stops
            if item.status != "Executing" or is_left or item.arn in self.left_to_wait | self.watched():
                continue
            if item.generation not in process.sent:
                raise Violation(f"{process} starts an execution beside {item}")

    def watched(self) -> set[str | None]:
        """Return the execution that the wait watches now, as Airflow shows it."""
        wait = self.tasks.get(WAIT)
        is_watching = wait is not None and wait.state in ("running", "deferred")
        return {wait.xcom.get(XCOM_EXECUTION_ARN)} if wait is not None and is_watching else set()

    def check_marks(self) -> None:
        """Check that what a user has marked has come to its end, once all processes are gone."""
        for item in self.sagemaker.executions.values():
            if item.status == "Executing" and not item.by_given_up and not item.is_elsewhere:
                for task in self.tasks.values():
                    if item.generation in task.marked:
                        raise Violation(f"{task} was marked, and {item} runs on")

    def sweep(self) -> None:
        """End the run, sweep, and check that nothing is left that nobody owns."""
        for process in list(self.processes):
            self.lose(process)
        self.check_marks()
        self.run_ended = True
        judge = Judge(Runs(self), airflow_id=DEPLOYMENT)
        for item in self.sagemaker.executions.values():
            if item.status != "Executing" or item.is_elsewhere:
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
