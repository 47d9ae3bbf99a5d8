from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_pipelines.definition import step_graph
from sagemaker_pipelines.definition.graph import find_cycle


def test_a_step_waits_for_references_and_for_the_condition_that_holds_it(definition: dict[str, Any]) -> None:
    assert step_graph(definition) == {
        "Train": set(),
        "Report": {"Train"},
        "Gate": {"Report"},
        "Create": {"Gate"},
        "Reject": {"Gate"},
    }


def test_depends_on_counts_by_name_and_by_trigger(definition: dict[str, Any]) -> None:
    definition["Steps"][1]["DependsOn"] = [{"Step": "Train", "Trigger": "Failed"}]
    definition["Steps"][0]["DependsOn"] = []
    definition["Steps"][2]["DependsOn"] = ["Train"]
    graph = step_graph(definition)
    assert graph["Report"] == {"Train"}
    assert graph["Gate"] == {"Report", "Train"}


def test_a_reference_outside_the_arguments_counts() -> None:
    """A Lambda step has its function's ARN beside its arguments."""
    step = {"Name": "L", "Type": "Lambda", "FunctionArn": {"Get": "Steps.A.OutputParameters['arn']"}}
    assert step_graph({"Steps": [step]}) == {"L": {"A"}}


names = st.integers(min_value=0, max_value=7).map(str)


@given(st.dictionaries(names, st.sets(names, max_size=3), max_size=8))
def test_a_cycle_is_found_exactly_when_no_order_exists(graph: dict[str, set[str]]) -> None:
    cycle = find_cycle(graph)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in graph[before] for before, after in itertools.pairwise(cycle))
    else:
        placed: set[str] = set()
        while len(placed) < len(graph):
            ready = {name for name in graph if name not in placed and graph[name] & set(graph) <= placed}
            assert ready, "the graph has a cycle that was not found"
            placed |= ready
