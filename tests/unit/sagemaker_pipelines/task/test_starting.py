"""The logical start: token, description and display name."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.definition import Parameter
from sagemaker_pipelines.task.logical_start import LogicalStart, display_name_of
from sagemaker_pipelines.task.requests import effective_parameters, execution_request

TEXT = st.text(min_size=1, max_size=30)
STARTS = st.builds(
    LogicalStart,
    dag_id=TEXT,
    run_id=TEXT,
    task_id=TEXT,
    map_index=st.integers(-1, 1000),
    generation=st.text("0123456789abcdef", min_size=32, max_size=32),
)
INTERVAL = "2026-01-04T00:00:00Z/2026-01-05T00:00:00Z"
START = LogicalStart(dag_id="d", run_id="r", task_id="t", map_index=-1, generation="0" * 32)


@given(STARTS, STARTS)
def test_two_starts_share_a_token_only_if_they_are_the_same(one: LogicalStart, other: LogicalStart) -> None:
    assert (one.token == other.token) == (one == other)


@given(STARTS)
def test_a_token_is_stable_and_as_long_as_sagemaker_wants(start: LogicalStart) -> None:
    assert start.token == dataclasses.replace(start).token
    assert 32 <= len(start.token) <= 128


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"dag_id": "ab", "run_id": "c"}, {"dag_id": "a", "run_id": "bc"}),
        ({"map_index": 1, "task_id": "t"}, {"map_index": -1, "task_id": "t1"}),
    ],
)
def test_parts_that_only_join_to_the_same_text_have_different_tokens(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert dataclasses.replace(START, **one).token != dataclasses.replace(START, **other).token  # type: ignore[arg-type]


IDS = st.from_regex(r"[A-Za-z0-9_.-]{1,30}", fullmatch=True)
NAMED_STARTS = st.builds(
    LogicalStart,
    dag_id=IDS,
    run_id=TEXT,
    task_id=IDS,
    map_index=st.integers(-1, 1000),
    generation=st.text("0123456789abcdef", min_size=32, max_size=32),
    airflow_id=st.none() | st.text("0123456789abcdef", min_size=16, max_size=16),
)


OTHER_IDS = START.description.removeprefix("Airflow ")


@given(
    NAMED_STARTS, st.text(max_size=50) | st.sampled_from(["deployment=other", OTHER_IDS, f"| {OTHER_IDS}"])
)
def test_a_description_is_read_back_as_the_start_that_it_tells_of(start: LogicalStart, text: str) -> None:
    request = execution_request(start, pipeline_name="p", parameters={}, display_name="d", description=text)
    read = LogicalStart.parse(request["PipelineExecutionDescription"])
    assert read is not None
    assert dataclasses.asdict(read) == dataclasses.asdict(start)


@pytest.mark.parametrize(
    "text", [None, "", "nightly run", "Airflow dag_id=d run_id=r", START.description[:-1]]
)
def test_what_no_start_of_ours_wrote_is_no_description(text: str | None) -> None:
    assert LogicalStart.parse(text) is None


@given(st.text(max_size=300))
def test_every_run_id_makes_a_display_name_that_sagemaker_takes(run_id: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}", display_name_of(run_id))


def test_a_usual_run_id_stays_readable() -> None:
    assert display_name_of("manual__2026-11-23T07:00:00+00:00") == "manual-2026-11-23T07-00-00-00-00"


def test_long_run_ids_that_differ_at_the_end_have_different_names() -> None:
    assert display_name_of("x" * 90 + "1") != display_name_of("x" * 90 + "2")


def test_the_request_holds_the_start_and_only_what_was_given() -> None:
    request = execution_request(START, pipeline_name="abalone", parameters={}, display_name="run")
    assert request == {
        "PipelineName": "abalone",
        "PipelineExecutionDisplayName": "run",
        "PipelineExecutionDescription": START.description,
        "ClientRequestToken": START.token,
    }
    assert START.generation in START.description


def test_selective_execution_parallelism_and_version_are_sent_when_given() -> None:
    request = execution_request(
        START,
        pipeline_name="abalone",
        parameters={"B": "2", "A": "1"},
        display_name="run",
        pipeline_version_id=3,
        selected_steps=["Train"],
        source_execution_arn="arn",
        max_parallel_execution_steps=2,
    )
    assert request["PipelineParameters"] == [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]
    assert request["PipelineVersionId"] == 3
    assert request["SelectiveExecutionConfig"] == {
        "SelectedSteps": [{"StepName": "Train"}],
        "SourcePipelineExecutionArn": "arn",
    }
    assert request["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 2}


def test_a_run_of_an_interval_is_named_by_it_and_found_by_its_description() -> None:
    start = dataclasses.replace(
        START, run_id="backfill__2026-01-05T00:00:00+00:00", interval=INTERVAL, airflow_id="ab-1"
    )
    assert start.display_name == "backfill-2026-01-04T00-00-00Z-to-2026-01-05T00-00-00Z"
    assert start.description.endswith(f" deployment=ab-1 interval={INTERVAL}")
    assert LogicalStart.parse(start.description) == start


def test_the_effective_parameters_are_what_is_sent_and_the_defaults() -> None:
    parameters = [Parameter("Rows", "Integer", 5), Parameter("Data", "String", "s3://b/d")]
    request = {"PipelineParameters": [{"Name": "Rows", "Value": "7"}]}
    assert effective_parameters(parameters, request) == {"Rows": "7", "Data": "s3://b/d"}
