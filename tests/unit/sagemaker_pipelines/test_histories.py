"""Whatever happens to a start and a wait: one execution a start, none lost, none stopped unasked."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.unit.sagemaker_pipelines.histories import ENDED, RETRIES, WAIT, Options, Process, Task, World

# How many calls of a kill are throttled.
BUSY = st.integers(0, 3)
READY = ("none", "scheduled", "up_for_retry", "up_for_reschedule")


class Histories(RuleBasedStateMachine):
    """The histories of one DAG run."""

    world: World

    @initialize(options=st.builds(Options, **{item.name: st.booleans() for item in fields(Options)}))
    def begin_run(self, options: Options) -> None:
        self.world = World(options)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.sweep()
            self.world.close()

    def ready(self) -> list[Task]:
        tasks = self.world.tasks
        can_wait = tasks["start"].state == "success" and "return_value" in tasks["start"].xcom
        return [
            task
            for task in tasks.values()
            if task.state in READY and task.process is None and (task.task_id != WAIT or can_wait)
        ]

    def deferred(self) -> list[Task]:
        return [task for task in self.world.tasks.values() if task.deferral is not None]

    def begun(self) -> list[Task]:
        return [task for task in self.world.tasks.values() if task.state != "none"]

    def current(self) -> list[Process]:
        return [process for process in self.world.processes if process.task.process is process]

    @precondition(lambda self: bool(self.ready()))
    @rule(data=st.data())
    def a_try_begins(self, data: Any) -> None:
        self.world.begin(data.draw(st.sampled_from(self.ready())))

    @precondition(lambda self: bool(self.world.processes))
    @rule(data=st.data(), calls=st.sampled_from([1, 2, 3, 5, 8, 20, 50]))
    def a_try_goes_on(self, data: Any, calls: int) -> None:
        process = data.draw(st.sampled_from(self.world.processes))
        for _ in range(calls):
            if process in self.world.processes:
                self.world.advance(process)

    @precondition(lambda self: bool(self.world.processes))
    @rule(data=st.data(), fault=st.sampled_from(["throttled", "lost", "denied", "full", "airflow"]))
    def a_call_fails(self, data: Any, fault: str) -> None:
        self.world.advance(data.draw(st.sampled_from(self.world.processes)), fault)

    @precondition(lambda self: bool(self.world.processes))
    @rule(data=st.data())
    def a_process_gets_sigkill(self, data: Any) -> None:
        self.world.lose(data.draw(st.sampled_from(self.world.processes)))

    @precondition(lambda self: bool(self.current()))
    @rule(data=st.data())
    def airflow_gives_up_a_process_that_lives(self, data: Any) -> None:
        self.world.give_up(data.draw(st.sampled_from(self.current())))

    @precondition(lambda self: bool(len(self.world.processes) > len(self.current())))
    @rule(data=st.data())
    def a_process_that_was_given_up_is_killed(self, data: Any) -> None:
        given_up = [process for process in self.world.processes if process.task.process is not process]
        process = data.draw(st.sampled_from(given_up))
        if not process.killed:
            self.world.kill(process)

    @precondition(lambda self: bool(self.current()))
    @rule(data=st.data(), busy=BUSY)
    def a_worker_is_evicted(self, data: Any, busy: int) -> None:
        self.world.sagemaker.busy = busy
        self.world.evict(data.draw(st.sampled_from(self.current())))

    @precondition(lambda self: bool(self.begun()))
    @rule(data=st.data(), busy=BUSY, retries=st.integers(0, RETRIES), downstream=st.booleans())
    def a_user_clears_a_task(self, data: Any, busy: int, retries: int, downstream: bool) -> None:
        self.world.sagemaker.busy = busy
        self.world.clear(data.draw(st.sampled_from(self.begun())), retries, downstream=downstream)

    @rule()
    def a_user_clears_another_task_of_the_run(self) -> None:
        self.world.clear_number += 1

    @precondition(lambda self: bool(self.begun()))
    @rule(data=st.data(), state=st.sampled_from(ENDED), busy=BUSY)
    def a_user_marks_a_task(self, data: Any, state: str, busy: int) -> None:
        self.world.sagemaker.busy = busy
        self.world.mark(data.draw(st.sampled_from(self.begun())), state)

    @precondition(lambda self: bool(self.deferred()))
    @rule(data=st.data())
    def a_trigger_moves(self, data: Any) -> None:
        self.world.move_trigger(data.draw(st.sampled_from(self.deferred())))

    def fired(self) -> list[Task]:
        executions = self.world.sagemaker.executions
        return [
            task
            for task in self.deferred()
            if task.deferral is not None
            and executions[task.deferral.trigger.pipeline_execution_arn].status
            not in ("Executing", "Stopping")
        ]

    @precondition(lambda self: bool(self.fired()))
    @rule(data=st.data())
    def a_trigger_fires(self, data: Any) -> None:
        self.world.fire(data.draw(st.sampled_from(self.fired())))

    @precondition(lambda self: bool(self.deferred()))
    @rule(data=st.data())
    def a_trigger_cannot_watch(self, data: Any) -> None:
        self.world.fire(data.draw(st.sampled_from(self.deferred())), "error")

    @rule(refuses=st.booleans())
    def sagemaker_refuses_or_takes_stops(self, refuses: bool) -> None:
        self.world.sagemaker.refuses_stops = refuses

    @rule(status=st.sampled_from(["Succeeded", "Failed", "Stopped"]))
    def executions_end(self, status: str) -> None:
        self.world.end_execution(status)

    @rule()
    def another_run_resumes(self) -> None:
        self.world.sagemaker.resume_elsewhere()

    @rule()
    def somebody_stops_in_studio(self) -> None:
        self.world.stop_in_studio()

    @rule()
    def sagemaker_forgets_tokens(self) -> None:
        self.world.forget_tokens()

    @invariant()
    def what_must_hold(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


@pytest.mark.parametrize(
    "histories",
    [
        100,
        pytest.param(2_000, marks=pytest.mark.thorough),
        pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
    ],
)
def test_whatever_happens_each_start_has_one_execution(histories: int) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=50,
            deadline=None,
            print_blob=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )
