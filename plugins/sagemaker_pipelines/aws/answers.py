"""Record which members AWS's answers have, without their values, and compare two records.

A record has, by action, the paths of the members with their types on the wire, and the errors::

    {"sagemaker:StartPipelineExecution": {"members": {"PipelineExecutionArn": "string"}, "errors": {}}}

In a path, ``[]`` stands for the elements of a list, and ``{}`` for the values of a map, whose keys are data.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import is_transient
from sagemaker_pipelines.exceptions import SettingsError

#: By action: ``members`` and ``errors``.
Answers = Mapping[str, Mapping[str, Mapping[str, str]]]
#: The version of the form of a report.
FORMAT = 1
#: What a report says about where SageMaker was called.
AWS_ENDPOINT, OTHER_ENDPOINT = "AWS", "another endpoint"
_EXPECTED = Path(__file__).with_name("expected_answers.json")
_JSON = ("json", "rest-json")
_ELEMENT = re.compile(r"\[\]|\{\}")


@cache
def expected_answers() -> Answers:
    """Return the record that ``smoke`` makes of the endpoint with which this package is tested."""
    found: Answers = json.loads(_EXPECTED.read_text(encoding="utf-8"))
    return found


class AnswerRecorder:
    """Records the answers that boto3 clients receive.

    :param masked: returns the text of an error without what identifies an account.
    """

    def __init__(self, masked: Callable[[str], str]) -> None:
        self._masked = masked
        self._members: dict[str, dict[str, set[str]]] = {}
        self._errors: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._watched: list[Any] = []

    def watch(self, client: Any) -> Any:
        """Record the answers that a boto3 client receives until ``close``, and return the client."""
        client.meta.events.register("after-call", self._record, unique_id=f"answers-{id(self)}")
        self._watched.append(client)
        return client

    def close(self) -> None:
        """Record nothing more: a hook gives its client to others, too."""
        while self._watched:
            events = self._watched.pop().meta.events
            events.unregister("after-call", self._record, unique_id=f"answers-{id(self)}")

    @property
    def answers(self) -> dict[str, dict[str, dict[str, str]]]:
        """What has been recorded so far, sorted."""
        with self._lock:
            return {
                action: {
                    "members": {
                        path: "|".join(sorted(types)) for path, types in sorted(self._members[action].items())
                    },
                    "errors": dict(sorted(self._errors[action].items())),
                }
                for action in sorted(self._members)
            }

    def _record(self, http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        service = model.service_model
        action = f"{service.service_name}:{model.name}"
        with self._lock:
            members = self._members.setdefault(action, {})
            errors = self._errors.setdefault(action, {})
            if http_response.status_code >= 300:
                error = parsed.get("Error", {})
                # What passes by itself says nothing about the action.
                if not is_transient(ClientError(dict(parsed), model.name)):
                    key = f"{http_response.status_code} {error.get('Code', '')}".strip()
                    errors[key] = self._masked(error.get("Message", ""))
                return
            for path, kind in member_types(_answer(http_response, parsed, model), model.output_shape):
                members.setdefault(path, set()).add(kind)


def _answer(http_response: Any, parsed: Mapping[str, Any], model: Any) -> Mapping[str, Any]:
    """Return the answer as it came, if it is JSON: botocore leaves out members that it does not know."""
    if model.service_model.resolved_protocol in _JSON and not model.has_streaming_output:
        try:
            answer = json.loads(http_response.content or b"{}")
        except ValueError:
            answer = None
        if isinstance(answer, Mapping):
            return answer
    return {name: value for name, value in parsed.items() if name != "ResponseMetadata"}


def member_types(value: Any, shape: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the type of every member of an answer.

    :param value: the answer, or a part of it.
    :param shape: botocore's shape of it; None if botocore does not know it, and then its own members are left
        out, because their names may be users' data.
    :param path: the path of the part.
    """
    if path:
        yield path, _type_of(value)
    kind = getattr(shape, "type_name", None)
    if kind == "structure" and isinstance(value, Mapping):
        for name, member in value.items():
            yield from member_types(member, shape.members.get(name), f"{path}.{name}" if path else name)
    elif kind == "map" and isinstance(value, Mapping):
        for member in value.values():
            yield from member_types(member, shape.value, f"{path}{{}}")
    elif kind == "list" and isinstance(value, list):
        for member in value:
            yield from member_types(member, shape.member, f"{path}[]")


def _type_of(value: Any) -> str:
    kinds: dict[type, str] = {
        bool: "boolean",
        int: "number",
        float: "number",
        str: "string",
        bytes: "string",
        datetime: "timestamp",
        type(None): "null",
    }
    if isinstance(value, Mapping):
        return "structure"
    return "list" if isinstance(value, list) else kinds.get(type(value), "stream")


def differences(seen: Answers, expected: Answers, *, complete: bool = True) -> dict[str, list[str]]:
    """Return how two records differ, by action; an action that only one of them has is left out.

    The members of an element are compared only where both lists, or maps, had elements. The texts of errors
    are not compared.

    :param seen: the record of one account.
    :param expected: the record to compare it with.
    :param complete: whether the run of the first record has reached its end; if not, what is only expected
        is not a difference.
    """
    found = {}
    for action in sorted(seen.keys() & expected.keys()):
        lines = [
            line
            for own, other in _compared(seen[action], expected[action])
            for line in _different(
                own, other if complete else {key: other[key] for key in other if key in own}
            )
        ]
        if lines:
            found[action] = lines
    return found


def not_reached(seen: Answers, expected: Answers) -> dict[str, list[str]]:
    """Return what the record of a run that ended early does not have, by action.

    :param seen: the record of the run.
    :param expected: the record of a complete one.
    :return: the members and errors; no entries for an action that was not called at all.
    """
    found: dict[str, list[str]] = {}
    for action in sorted(expected):
        if action not in seen:
            found[action] = []
            continue
        pairs = _compared(seen[action], expected[action])
        missing = [
            f"{key} ({other[key]})" for own, other in pairs for key in sorted(other.keys() - own.keys())
        ]
        if missing:
            found[action] = missing
    return found


def _compared(
    seen: Mapping[str, Mapping[str, str]], expected: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    """Yield what is compared of an action in two records: first the members, then the errors."""
    own, other = seen["members"], expected["members"]
    yield _comparable(own, other), _comparable(other, own)
    yield dict.fromkeys(seen["errors"], "error"), dict.fromkeys(expected["errors"], "error")


def _comparable(members: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """Return the members that are not below an element which the other record does not have."""
    return {
        path: kind
        for path, kind in members.items()
        if all(path[: found.end()] in other for found in _ELEMENT.finditer(path))
    }


def _different(seen: Mapping[str, str], expected: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(seen.keys() | expected.keys()):
        if name not in expected:
            yield f"{name}: only seen ({seen[name]})"
        elif name not in seen:
            yield f"{name}: only expected ({expected[name]})"
        elif seen[name] != expected[name]:
            yield f"{name}: seen {seen[name]}, expected {expected[name]}"


def read_report(path: Path) -> dict[str, Any]:
    """Return a report of ``smoke`` about AWS.

    :param path: the JSON file.
    :raises SettingsError: it is not such a report, or is about another endpoint.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        form, endpoint, _, _ = (report[name] for name in ("format", "endpoint", "date", "answers"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} is not a report of `sagemaker-pipelines smoke` ({type(error).__name__}: {error}); "
            "expected the JSON file that it wrote. Use that one."
        ) from error
    if (form, endpoint) != (FORMAT, AWS_ENDPOINT):
        raise SettingsError(
            f"{path} has the format {form!r} and is about {endpoint!r}; expected format {FORMAT} and "
            f"{AWS_ENDPOINT!r}. Run `sagemaker-pipelines smoke` in an AWS account, with this version."
        )
    found: dict[str, Any] = report
    return found
