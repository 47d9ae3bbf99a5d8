"""ForEach steps: run the steps of a body once for each item.

The semantics are those that the SDK 3.27 documents in ``sagemaker/mlops/workflow/for_each_step.py``, and the
API in ForEachStepMetadata and IterationContext.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Literal

from sagemaker_local_runtime.engine.resolver import walk
from sagemaker_local_runtime.engine.steps.base import Body, Iteration, StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import ResolutionError
from sagemaker_pipelines.definition.references import parse_reference


class ForEachExecutor:
    """Runs the children of a ForEach step, as many at a time as its MaxConcurrency allows.

    A child that fails does not end the others.
    """

    step_type = "ForEach"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Run every child, then count and select.

        :raises ResolutionError: the items are not a list, or the selected field is not a number.
        """
        assert step_run.body is not None
        iterations = [
            Iteration(index=index, item=item)
            for index, item in enumerate(_items(step_run.arguments["IterableItems"]))
        ]
        statuses = _run_children(step_run.body, iterations, int(step_run.arguments["MaxConcurrency"]))
        failed = [name for name, status in statuses.items() if status == "Failed"]
        status: Literal["Succeeded", "Failed", "Stopped"] = "Succeeded"
        if failed or step_run.stop.is_set():
            status = "Failed" if failed else "Stopped"
        counts: dict[str, Any] = {"Status": status, "InputItemCount": len(iterations), **_counts(statuses)}
        properties = {**counts, "IterationOutputs": [iteration.outputs for iteration in iterations]}
        chosen = _selected(step_run.arguments.get("Selector"), iterations) if status == "Succeeded" else None
        if chosen:
            name, iteration = chosen
            properties["Selected"] = iteration.outputs[name]
            child = {"StepName": f"{name}-{iteration.index}", "Index": iteration.index}
            counts = {**counts, "Selector": child}
        reason = f"{len(failed)} of {len(statuses)} child steps failed: {', '.join(failed)}."
        return StepOutcome(
            status=status,
            metadata={"ForEach": counts},
            properties=properties,
            failure_reason=reason if failed else None,
        )


def _items(value: Any) -> list[Any]:
    """Return the items: the list, or what its JSON text holds."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ResolutionError(
                f"IterableItems is {value!r}, which is not JSON ({error}); expected a list such as '[1, 2]'."
            ) from error
    if not isinstance(value, list):
        raise ResolutionError(f"IterableItems is {value!r}; expected a list, or the JSON text of a list.")
    return value


def _run_children(body: Body, iterations: list[Iteration], limit: int) -> dict[str, str]:
    """Run the children of all iterations, and return the status of each one that was run."""
    statuses: list[dict[str, str]] = [{} for _ in iterations]
    running: dict[Future[StepOutcome], tuple[Iteration, str]] = {}
    with ThreadPoolExecutor(limit) as pool:

        def start(iteration: Iteration) -> None:
            known = statuses[iteration.index]
            for name in body.graph.plan(known, {}).ready:
                known[name] = "Starting"
                running[pool.submit(body.run, body.graph.nodes[name], iteration)] = (iteration, name)

        for iteration in iterations:
            start(iteration)
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                iteration, name = running.pop(done)
                outcome = done.result()
                statuses[iteration.index][name] = outcome.status
                if outcome.status == "Succeeded":
                    iteration.outputs[name] = outcome.properties
                start(iteration)
    return {
        f"{name}-{index}": status for index, known in enumerate(statuses) for name, status in known.items()
    }


def _counts(statuses: Mapping[str, str]) -> dict[str, int]:
    counted = Counter(statuses.values())
    return {
        "TotalStepCount": len(statuses),
        **{f"{status}StepCount": counted[status] for status in ("Succeeded", "Failed", "Stopped")},
    }


def _selected(
    selector: Mapping[str, Any] | None, iterations: list[Iteration]
) -> tuple[str, Iteration] | None:
    """Return the step in the body and the iteration that the Selector picks, or None."""
    if not selector or not iterations:
        return None
    pick = {"MaxBy": max, "MinBy": min}[selector["Pick"]]
    text = selector["Field"]["Get"]
    reference = parse_reference(text)
    values = dict(_values(iterations, reference.name, reference.rest, text))
    index = pick(values, key=values.__getitem__)
    return reference.name, iterations[index]


def _values(iterations: list[Iteration], name: str, path: str, text: str) -> Iterator[tuple[int, float]]:
    for iteration in iterations:
        value = walk(iteration.outputs[name], path, text)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if math.isnan(number):  # no number is larger or smaller
            raise ResolutionError(
                f"The Selector compares {text!r}, which is {value!r} in iteration {iteration.index}; "
                "expected a number. Select another field."
            )
        yield iteration.index, number
