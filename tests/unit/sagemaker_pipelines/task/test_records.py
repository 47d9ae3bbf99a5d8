"""What a try leaves for the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import NEVER_EXPIRE
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.task.records import StartRecord, WaitRecord, Witness
from tests.unit.sagemaker_pipelines.samples import ARN, TaskStateStore, context_of

RECORD = StartRecord(
    generation="g", request={"PipelineName": "x"}, witness=Witness(max_tries=2, clear_number=1)
)


@pytest.mark.parametrize(
    "record", [RECORD, replace(RECORD, replaced=RECORD), WaitRecord(pipeline_execution_arn=ARN, resumes=2)]
)
def test_a_record_is_loaded_as_it_was_saved(record: Any) -> None:
    context = context_of(TaskStateStore())
    assert type(record).load(context) is None
    record.save(context)
    assert type(record).load(context) == record


def test_what_a_newer_version_adds_is_left_out() -> None:
    store = TaskStateStore()
    context = context_of(store)
    RECORD.save(context)
    store.set(StartRecord.KEY, {**store.get(StartRecord.KEY), "tomorrow": 1})
    assert StartRecord.load(context) == RECORD


def test_records_never_expire() -> None:
    store = TaskStateStore()
    RECORD.save(context_of(store))
    assert store.retention is NEVER_EXPIRE


def test_without_a_store_nothing_is_kept() -> None:
    context: Any = {"ti": object()}
    assert RECORD.save(context, ended=True).ended
    assert StartRecord.load(context) is None


@pytest.mark.parametrize(
    ("ended", "max_tries", "clear_number", "stopped", "cleared"),
    [
        (False, 2, 1, False, False),  # the worker was killed: Airflow's own retry
        (False, 2, 1, True, False),  # the worker was evicted: Airflow's own retry
        (True, 2, 1, False, False),  # the try failed: Airflow's own retry
        (True, 3, 2, False, True),  # a user cleared the task after it had ended
        (False, 3, 2, False, True),  # a user cleared it while it was deferred
        (False, 2, 2, True, True),  # a user cleared it while it ran
        (False, 2, 2, False, False),  # a user cleared another task of the run, then the worker was killed
        (True, 2, 2, True, False),  # a user cleared another task of the run between two tries of this one
    ],
)
def test_a_users_clear_is_told_from_a_retry_and_from_a_siblings_clear(
    ended: bool, max_tries: int, clear_number: int, stopped: bool, cleared: bool
) -> None:
    witness = Witness(max_tries=max_tries, clear_number=clear_number)
    record = replace(RECORD, ended=ended)
    was_cleared = record.was_cleared(witness, was_stopped=lambda _: stopped, is_unwatched=lambda _: False)
    assert was_cleared is cleared


def test_after_a_success_a_raised_clear_number_is_a_clear_of_this_task() -> None:
    record = replace(RECORD, ended=True, succeeded=True, pipeline_execution_arn=ARN)
    for clear_number, unwatched, cleared in ((1, False, False), (2, False, True), (2, True, False)):
        witness = Witness(max_tries=2, clear_number=clear_number)
        was_cleared = record.was_cleared(
            witness, was_stopped=lambda _: False, is_unwatched={ARN: unwatched}.__getitem__
        )
        assert was_cleared is cleared


@given(st.booleans(), st.integers(0, 9), st.integers(0, 9))
def test_the_same_witness_is_never_a_clear(ended: bool, max_tries: int, clear_number: int) -> None:
    witness = Witness(max_tries=max_tries, clear_number=clear_number)
    record = replace(RECORD, ended=ended, witness=witness)
    assert not record.was_cleared(witness, was_stopped=lambda _: True, is_unwatched=lambda _: True)


@pytest.mark.parametrize(
    ("resumes", "delivered", "following"), [(0, False, 1), (1, False, 1), (1, True, 2), (4, True, 5)]
)
def test_a_resume_that_may_not_have_arrived_is_sent_again_with_its_token(
    resumes: int, delivered: bool, following: int
) -> None:
    record = WaitRecord(
        pipeline_execution_arn=ARN, resumes=resumes, resume_token="t", resume_delivered=delivered
    )
    then = record.next_resume()
    assert then.resumes == following
    assert (then.resume_token == "t") == (resumes == following)
    assert not then.resume_delivered
