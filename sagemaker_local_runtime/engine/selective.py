"""Selective execution: run some steps and reuse the others from another execution.

https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-selective-ex.html
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from sagemaker_local_runtime.engine.graph import TRIGGERS, Graph
from sagemaker_local_runtime.engine.record import EXECUTION, STEP
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.store import Document, Store

# The statuses that a source execution may have (the SDK's SelectiveExecutionConfig names these three).
_SOURCE_STATUSES = ("Succeeded", "Failed", "Stopped")


def selected_names(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the selected steps."""
    return frozenset(entry["StepName"] for entry in config["SelectedSteps"])


def reused_steps(store: Store, graph: Graph, pipeline_arn: str, config: Mapping[str, Any]) -> list[Document]:
    """Return the step documents that a selective execution reuses from its source.

    :param graph: the whole graph of the definition.
    :param config: the ``SelectiveExecutionConfig`` of the start.
    :raises ValidationError: the selection or its source cannot be used.
    """
    selected = selected_names(config)
    _check_selection(graph, selected)
    needed = sorted({name for step in selected for name in graph.nodes[step].triggers} - selected)
    arn = config.get("SourcePipelineExecutionArn")
    if arn is None:
        if needed:
            raise ValidationError(
                f"Invalid SourcePipelineExecutionArn: null. The selected steps {_listed(selected)} have "
                f"dependencies on {_listed(needed)}"
            )
        return []
    _check_source(store, pipeline_arn, arn)
    found = {document["StepName"]: document for document in store.list(STEP, parent=arn)}
    for step in selected:
        for name, trigger in graph.nodes[step].triggers.items():
            if name not in selected:
                _check_result(found.get(name), name, trigger, arn)
    return [_reused(found[name], arn) for name in needed]


def _check_selection(graph: Graph, selected: Set[str]) -> None:
    unknown = sorted(selected - graph.nodes.keys())
    if unknown:
        raise ValidationError(
            f"Invalid SelectedSteps: {_listed(unknown)} are not steps of the pipeline definition, "
            f"which has {_listed(graph.nodes)}."
        )
    ancestors = {name: graph.ancestors(name) for name in graph.nodes}
    between = {
        name
        for name in graph.nodes.keys() - selected
        if ancestors[name] & selected and any(name in ancestors[step] for step in selected)
    }
    if between:
        raise ValidationError(
            f"Invalid SelectedSteps: {_listed(between)} lie on a path between two selected steps; "
            "select all steps of such a path."
        )


def _check_source(store: Store, pipeline_arn: str, arn: str) -> None:
    source = store.get(EXECUTION, arn)
    if source is None or source["PipelineArn"] != pipeline_arn:
        raise ValidationError(
            f"Invalid SourcePipelineExecutionArn: '{arn}' is not an execution of pipeline '{pipeline_arn}'."
        )
    if source["PipelineExecutionStatus"] not in _SOURCE_STATUSES:
        raise ValidationError(
            f"Invalid SourcePipelineExecutionArn: '{arn}' has status {source['PipelineExecutionStatus']}; "
            f"expected {', '.join(_SOURCE_STATUSES)}."
        )


def _check_result(document: Document | None, name: str, trigger: str, arn: str) -> None:
    status = document["StepStatus"] if document else "not executed"
    if status not in TRIGGERS[trigger]:
        raise ValidationError(
            f"Invalid SourcePipelineExecutionArn: step '{name}' of '{arn}' is {status}, but a selected step "
            f"depends on it. Select it too, or name another source execution."
        )


def _reused(document: Document, arn: str) -> Document:
    kept = ("StepName", "StepDisplayName", "StepDescription", "StartTime", "EndTime", "StepStatus")
    private = ("Metadata", "FailureReason", "_properties", "_execution_arn")
    fields = {key: document[key] for key in (*kept, *private) if key in document}
    return {**fields, "SelectiveExecutionResult": {"SourcePipelineExecutionArn": arn}}


def _listed(names: Any) -> str:
    return f"[{', '.join(sorted(names))}]"
