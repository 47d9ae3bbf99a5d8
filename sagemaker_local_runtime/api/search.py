"""Search: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sagemaker_local_runtime.api.paging import arranged, page
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.api.search_filters import check_name, first_value, matches
from sagemaker_local_runtime.engine.pipelines import PIPELINE
from sagemaker_local_runtime.engine.record import EXECUTION
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.service_model import service_model
from sagemaker_local_runtime.services.experiments import Experiments
from sagemaker_local_runtime.services.tags import tags_of
from sagemaker_local_runtime.store import Document, public

Documents = Iterable[Document]


def _executions(runtime: Runtime) -> Documents:
    for execution in runtime.account.store.list(EXECUTION):
        values = execution["_parameters"].items()
        parameters = [{"Name": name, "Value": value} for name, value in values]
        yield {**public(execution), "PipelineParameters": parameters}


# For each Resource of a request, its member of a result and where its resources are.
_SOURCES: dict[str, tuple[str, Callable[[Runtime], Documents]]] = {
    "Experiment": ("Experiment", lambda runtime: Experiments(runtime.account).experiments()),
    "ExperimentTrial": ("Trial", lambda runtime: Experiments(runtime.account).trials()),
    "ExperimentTrialComponent": (
        "TrialComponent",
        lambda runtime: Experiments(runtime.account).components(),
    ),
    "ModelPackage": ("ModelPackage", lambda runtime: runtime.models.list_model_packages()),
    "ModelPackageGroup": ("ModelPackageGroup", lambda runtime: runtime.models.list_model_package_groups()),
    "Pipeline": ("Pipeline", lambda runtime: map(public, runtime.account.store.list(PIPELINE))),
    "PipelineExecution": ("PipelineExecution", _executions),
    "TrainingJob": ("TrainingJob", lambda runtime: runtime.jobs.list("training")),
}


@action("Search")
def search(runtime: Runtime, request: Request) -> Response:
    """Find the resources of one kind that a search expression describes, last changed first by default."""
    if request["Resource"] not in _SOURCES:
        raise ValidationError(
            f"The local runtime does not search for {request['Resource']}. "
            f"It searches for {', '.join(_SOURCES)}."
        )
    member, documents = _SOURCES[request["Resource"]]
    expression, sort_by = request.get("SearchExpression") or {}, request.get("SortBy", "LastModifiedTime")
    if "SortBy" in request:
        check_name(sort_by, member)
    found = [
        document
        for document in (_searched(runtime, member, document) for document in documents(runtime))
        if matches(document, expression, member)
    ]
    items = arranged(found, request, lambda document: _sort_key(document, sort_by))
    results, following = page(items, request, key=f"{member}Arn")
    hits = {"Value": len(found), "Relation": "EqualTo"}
    return {"Results": [{member: result} for result in results], "TotalHits": hits, **following}


def _searched(runtime: Runtime, member: str, document: Document) -> Document:
    """Return a resource with the members that a result has, and its tags."""
    members = service_model().shape_for(member).members
    changed = document.get("LastModifiedTime", document.get("CreationTime"))
    tags = tags_of(runtime.account.store, str(document[f"{member}Arn"]))
    fields = {**document, "LastModifiedTime": changed, "Tags": tags or None}
    return {name: value for name, value in fields.items() if name in members and value is not None}


def _sort_key(document: Document, sort_by: str) -> tuple[bool, float, str, float]:
    """Order numbers and times by value and everything else as text, before what has no value."""
    value = first_value(document, sort_by)
    is_number = isinstance(value, int | float)
    return (
        value is not None,
        value if is_number else 0.0,
        "" if is_number else str(value),
        document["CreationTime"],
    )
