"""Draw the steps of a definition as tasks that show how they go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import BaseOperator, TaskGroup

from sagemaker_pipelines.definition import mirrored_steps, step_graph
from sagemaker_pipelines.operators.mirror import QUIET, SageMakerStepMirrorOperator

#: With more steps than this, none is drawn.
MAX_MIRRORS = 50
GROUP, LEAF = "steps", "steps_ended"


def draw_steps(definition: Mapping[str, Any], start: BaseOperator, wait: BaseOperator) -> TaskGroup | None:
    """Create the task group ``steps`` with a mirror of each step, which follows the start.

    The group has one leaf, an empty task that always succeeds. So the mirrors, which may fail or be skipped,
    never decide how the DAG run ends.

    :param definition: the definition.
    :param start: the task that pushes the execution's ARN.
    :param wait: the task that waits for the execution.
    :return: the group; None if the definition has more than ``MAX_MIRRORS`` steps, or none at all, or if the
        DAG is to fail fast: Airflow then allows no trigger rules, and a mirror would end the tasks that run.
    """
    steps = mirrored_steps(definition)
    if not 0 < len(steps) <= MAX_MIRRORS or (start.dag is not None and start.dag.fail_fast):
        return None
    graph = step_graph(definition)
    with TaskGroup(GROUP, tooltip="The steps of the SageMaker pipeline", ui_color="#eef3fb") as group:
        mirrors = {
            step.name: SageMakerStepMirrorOperator(
                task_id=task_id,
                task_display_name=step.name,
                doc_md=step.description or None,
                step_name=step.name,
                step_type=step.type,
                start_task_id=start.task_id,
                wait_task_id=wait.task_id,
                body_steps=step.body,
                trigger_rule="all_done" if step.handles_failure else "none_failed",
            )
            for step, task_id in zip(steps, _task_ids([step.name for step in steps]), strict=True)
        }
        leaf = EmptyOperator(task_id=LEAF, **{**QUIET, "trigger_rule": "all_done"})
        for name, mirror in mirrors.items():
            for before in sorted(graph[name] & mirrors.keys()):
                mirrors[before] >> mirror
        for mirror in mirrors.values():
            if not mirror.downstream_list:
                mirror >> leaf
    for mirror in mirrors.values():
        if not mirror.upstream_list:
            start >> mirror
    return group


def _task_ids(names: list[str]) -> list[str]:
    """Return an id for each step that Airflow accepts, different from all others."""
    ids: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", name) or "step"
        while plain in {*ids, LEAF}:
            plain += "_"
        ids.append(plain)
    return ids
