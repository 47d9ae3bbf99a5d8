"""SageMaker's plain records, which moto keeps in memory: nothing of the local runtime executes or reads them.

A request is checked against SageMaker's model first, since moto does not, and a record that moto does not
find gets AWS's error.
"""

from __future__ import annotations

import io
import json
import threading
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.endpoint.calls import Call
from sagemaker_local_runtime.endpoint.static import StaticServices
from sagemaker_local_runtime.endpoint.wire import Answer, Environ, error_answer
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.service_model import operation
from sagemaker_local_runtime.services.experiments import Experiments
from sagemaker_local_runtime.services.tags import delete_tags, put_tags
from sagemaker_local_runtime.store import Store

_NOTE = "a record only, kept by moto in memory"
# Between the check of a name and its record, no other request may take the name.
_ONE_AT_A_TIME = threading.Lock()
_COMMON = ("Create", "Describe", "Delete")


def _records(noun: str, *verbs: str, lists: str | None = None, note: str = "") -> dict[str, str]:
    """Return the actions on one kind of record, each with its note for the documentation.

    :param verbs: the actions apart from ``List...``; by default create, describe and delete.
    :param lists: the plural; ``""`` if moto cannot list them.
    :param note: what does not happen.
    """
    plural = f"{noun}s" if lists is None else lists
    names = [f"{verb}{noun}" for verb in verbs or _COMMON] + ([f"List{plural}"] if plural else [])
    return dict.fromkeys(names, f"{_NOTE}; {note}" if note else _NOTE)


#: The actions that moto answers, with a note on each.
RECORDS: dict[str, str] = {
    **_records("Experiment"),
    **_records("Trial"),
    **_records("TrialComponent", *_COMMON, "Update", "Associate", "Disassociate", lists=""),
    **_records("ModelCard", *_COMMON, "Update"),
    "ListModelCardVersions": _NOTE,
    **_records("Domain"),
    **_records("FeatureGroup", "Create", "Describe", lists="", note="there is no store behind it"),
    **_records("CompilationJob", note="nothing is compiled"),
    **_records("DataQualityJobDefinition", note="nothing is monitored"),
    **_records("ModelBiasJobDefinition", note="nothing is monitored"),
    **_records("ModelExplainabilityJobDefinition", note="nothing is monitored"),
    **_records("ModelQualityJobDefinition", note="nothing is monitored"),
    **_records("NotebookInstance", *_COMMON, "Start", "Stop", note="there is no machine"),
    **_records("NotebookInstanceLifecycleConfig", lists=""),
    **_records("Cluster", note="there are no machines"),
    **_records("ClusterNode", "Describe", note="there are no machines"),
}


def answer_record(
    static: StaticServices, account: Account, request: dict[str, Any], environ: Environ, call: Call
) -> Answer:
    """Answer an action on a record.

    :param static: moto.
    :param account: keeps the tags, which have actions of their own.
    :param request: the request, checked.
    :raises ValidationError: the name of a new experiment, trial or trial component is taken, or a feature
        group has no offline store.
    :raises ResourceNotFoundError: the experiment of a new trial does not exist.
    """
    if call.action == "CreateFeatureGroup" and "OfflineStoreConfig" not in request:
        raise ValidationError(
            "The local runtime records a feature group only with an OfflineStoreConfig; this one has none. "
            "Add it; there is no store behind it."
        )
    body = json.dumps(request).encode()
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    begun: list[tuple[Any, ...]] = []
    with _ONE_AT_A_TIME:
        Experiments(account).check_new(call.action, request)
        answer = b"".join(static.answer(environ, lambda *arguments: begun.append(arguments), call))
    status = int(begun[-1][0].split()[0])
    if status >= 400:
        return _error(call.action, json.loads(answer), status)
    if call.action.startswith("Create"):
        _tag(account.store, json.loads(answer), request.get("Tags") or [])
    return Answer(status=status, body=answer, headers={"Content-Type": "application/x-amz-json-1.1"})


def _error(action: str, error: dict[str, Any], status: int) -> Answer:
    # moto spells it "Message".
    code, message = str(error["__type"]), str(error.get("Message") or error.get("message"))
    model = operation(action)
    documented = {shape.name for shape in model.error_shapes} if model else set()
    if "ould not find" in message and "ResourceNotFound" in documented:
        code = "ResourceNotFound"
    return error_answer("json", code, message, status=status)


def _tag(store: Store, answer: dict[str, Any], tags: list[dict[str, str]]) -> None:
    """Store the tags of a new record, instead of those of an earlier one of the same name."""
    for arn in (value for name, value in answer.items() if name.endswith("Arn")):
        delete_tags(store, arn)
        put_tags(store, arn, tags)
