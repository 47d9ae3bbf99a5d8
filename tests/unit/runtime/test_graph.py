"""Steps wait for what they refer to, for their DependsOn and for their branch."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.graph import TRIGGERS, Graph


def step(name: str, *depends_on: Any, **arguments: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Processing", "Arguments": arguments, "DependsOn": list(depends_on)}


def branching(name: str, if_steps: list[Any], else_steps: list[Any], *depends_on: Any) -> dict[str, Any]:
    arguments = {"Conditions": [], "IfSteps": if_steps, "ElseSteps": else_steps}
    return {"Name": name, "Type": "Condition", "Arguments": arguments, "DependsOn": list(depends_on)}


def graph(*steps: dict[str, Any]) -> Graph:
    return Graph({"Steps": list(steps)})


def test_a_reference_is_a_dependency() -> None:
    nodes = graph(step("b", Input={"Get": "Steps.a.Output"}), step("a")).nodes
    assert nodes["b"].upstream == {"a"}
    assert list(nodes) == ["a", "b"]


def test_a_condition_does_not_wait_for_what_its_branches_refer_to() -> None:
    inside = step("inside", Input={"Get": "Steps.slow.Output"})
    nodes = graph(step("slow"), branching("choice", [inside], [])).nodes
    assert nodes["choice"].upstream == set()
    assert nodes["inside"].upstream == {"choice", "slow"}


def test_only_the_taken_branch_runs_and_the_other_is_dead_with_all_that_waits_for_it() -> None:
    built = graph(
        branching("choice", [step("yes")], [step("no")]), step("after-no", "no"), step("after-yes", "yes")
    )
    plan = built.plan({"choice": "Succeeded"}, {"choice": True})
    assert plan.ready == ["yes"]
    assert plan.waiting == ["after-yes"]
    assert plan.dead == {"no", "after-no"}


def test_a_dependency_on_a_condition_step_waits_for_the_condition_only() -> None:
    built = graph(branching("choice", [step("yes")], []), step("after", "choice"))
    assert built.plan({"choice": "Succeeded"}, {"choice": False}).ready == ["after"]


def test_a_nested_condition_of_a_branch_not_taken_is_dead() -> None:
    inner = branching("inner", [step("deep")], [])
    built = graph(branching("outer", [inner], []))
    assert built.plan({"outer": "Succeeded"}, {"outer": False}).dead == {"inner", "deep"}


def test_a_failed_step_kills_what_completes_after_it_and_readies_what_waits_for_its_failure() -> None:
    built = graph(step("a"), step("b", "a"), step("notify", {"Step": "a", "Trigger": "Failed"}))
    failed = built.plan({"a": "Failed"}, {})
    assert (failed.ready, failed.dead) == (["notify"], {"b"})
    succeeded = built.plan({"a": "Succeeded"}, {})
    assert (succeeded.ready, succeeded.dead) == (["b"], {"notify"})


def test_a_restricted_graph_forgets_what_is_outside() -> None:
    built = graph(step("a"), step("b", "a"), branching("c", [step("d", "b")], [], "b"))
    rest = built.restricted_to({"b", "d"})
    assert rest.nodes["b"].upstream == set()
    assert rest.nodes["d"].upstream == {"b"}


@st.composite
def acyclic(draw: st.DrawFn) -> tuple[Graph, dict[str, dict[str, str]]]:
    """Draw a graph of plain steps, each waiting for some of those before it, in a shuffled document."""
    names = [f"s{index}" for index in range(draw(st.integers(1, 8)))]
    triggers = {
        name: {
            other: draw(st.sampled_from(sorted(TRIGGERS))) for other in names[:index] if draw(st.booleans())
        }
        for index, name in enumerate(names)
    }
    steps = [step(n, *({"Step": o, "Trigger": t} for o, t in triggers[n].items())) for n in names]
    return graph(*draw(st.permutations(steps))), triggers


@given(acyclic())
def test_the_order_puts_every_step_after_all_that_it_waits_for(drawn: tuple[Graph, Any]) -> None:
    built, triggers = drawn
    position = {name: index for index, name in enumerate(built.nodes)}
    assert all(position[other] < position[name] for name in triggers for other in triggers[name])


@given(acyclic(), st.data())
def test_every_step_ends_or_is_dead_and_runs_only_as_its_triggers_allow(
    drawn: tuple[Graph, dict[str, dict[str, str]]], data: st.DataObject
) -> None:
    built, triggers = drawn
    statuses: dict[str, str] = {}
    while True:
        plan = built.plan(statuses, {})
        if not plan.ready:
            break
        name = data.draw(st.sampled_from(plan.ready))
        assert all(statuses[other] in TRIGGERS[trigger] for other, trigger in triggers[name].items())
        statuses[name] = data.draw(st.sampled_from(["Succeeded", "Failed", "Stopped"]))
    assert plan.waiting == []
    assert plan.dead | statuses.keys() == set(triggers)
