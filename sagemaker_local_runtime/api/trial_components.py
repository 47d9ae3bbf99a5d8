"""The list of trial components, which moto does not filter by their source or experiment."""

from __future__ import annotations

from sagemaker_local_runtime.api.paging import arranged, page, pick, within
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.services.experiments import Experiments

_SUMMARY = (
    "TrialComponentName",
    "TrialComponentArn",
    "DisplayName",
    "Status",
    "StartTime",
    "EndTime",
    "CreationTime",
    "LastModifiedTime",
)


@action("ListTrialComponents")
def list_trial_components(runtime: Runtime, request: Request) -> Response:
    """List trial components, newest first by default."""
    parent = pick(request, ("ExperimentName", "TrialName"))
    source = request.get("SourceArn")
    items = [
        item
        for item in Experiments(runtime.account).components()
        if (not parent or any(parent.items() <= found.items() for found in item["Parents"]))
        and (source is None or source in _sources(item))
        and within(item["CreationTime"], request, "Created")
    ]
    by = "TrialComponentName" if request.get("SortBy") == "Name" else "CreationTime"
    ordered = arranged(items, request, lambda item: (item[by], item["CreationTime"]))
    found, following = page(ordered, request, key="TrialComponentName")
    return {"TrialComponentSummaries": [_summary(item) for item in found], **following}


def _sources(item: Request) -> list[str]:
    return [source["SourceArn"] for source in item.get("Sources") or ()]


def _summary(item: Request) -> Response:
    sources = item.get("Sources")
    return pick(item, _SUMMARY) | ({"TrialComponentSource": sources[0]} if sources else {})
