"""A path of JsonGet names one value; the engine and Airflow follow it to the same one."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local_runtime.engine.resolver import json_path_value
from sagemaker_local_runtime.exceptions import ResolutionError
from sagemaker_pipelines.aws.gate import read_metric
from sagemaker_pipelines.definition.json_path import value_at
from sagemaker_pipelines.exceptions import EvaluationError


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("a.b-c.d_e", {"a": {"b-c": {"d_e": 1}}}),
        ("$.a@b", {"a@b": 1}),
        ("a[1].b", {"a": [0, {"b": 1}]}),
        ("a['b.c']", {"a": {"b.c": 1}}),
        ("""a["it's"]""", {"a": {"it's": 1}}),
        (r"a['it\'s']", {"a": {"it's": 1}}),
        ("['']", {"": 1}),
        ("a.0", {"a": {"0": 1}}),
        ("[0][1]", [[0, 1]]),
        ("größe", {"größe": 1}),
        ("$", 1),
    ],
)
def test_names_and_indices_lead_to_a_value(path: str, document: Any) -> None:
    assert value_at(document, path) == 1


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".a",
        "$a",
        "a.",
        "a..b",
        "$..a",
        "a.*",
        "a[*]",
        "a[-1]",
        "a[0:1]",
        "a[0,1]",
        "a[?(@.b)]",
        "a[0]b",
        "a[b]",
        "a['b\"]",
        "a[",
        "a b",
        "a:b",
        "a.'b'",
        "`this`",
        "a[\N{ARABIC-INDIC DIGIT ZERO}]",
        "a[" + "9" * 5000 + "]",
    ],
)
def test_what_does_not_name_a_single_value_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path that JsonGet accepts"):
        value_at({"a": [{"b": 1}]}, path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("metrics.mae", r"at metrics there is \['mse'\]"),
        ("metric", r"at the top level there is \['folds', 'metrics'\]"),
        ("folds[2]", "at folds there is list"),
        ("folds.0", "at folds there is list"),
        ("metrics[0]", r"at metrics there is \['mse'\]"),
        ("metrics.mse[0]", r"at metrics\.mse there is str"),
    ],
)
def test_what_is_there_instead_is_named(path: str, text: str) -> None:
    with pytest.raises(LookupError, match=text):
        value_at({"metrics": {"mse": "4.9"}, "folds": [1, 2]}, path)


def test_a_large_object_is_shown_in_part() -> None:
    with pytest.raises(LookupError, match="and 980 more"):
        value_at({f"name-{number}": number for number in range(1000)}, "other")


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
names = st.text(min_size=1, max_size=4) | st.from_regex(r"[a-z][a-z0-9_-]{0,3}", fullmatch=True)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
PIECES = [".", "[", "]", "'", '"', "\\", "$", "*", "a", "b", "0", "-1", ":", "@"]


@st.composite
def paths_into(draw: st.DrawFn, document: Any) -> tuple[str, Any]:
    """Draw a path to some value of a document, spelt in any of its forms."""
    path, value = draw(st.sampled_from(["", "$"])), document
    while isinstance(value, (dict, list)) and value and (path in ("", "$") or draw(st.booleans())):
        if isinstance(value, list):
            index = draw(st.integers(0, len(value) - 1))
            path, value = f"{path}[{index}]", value[index]
            continue
        key = draw(st.sampled_from(sorted(value)))
        forms = []
        for quote in ("'", '"'):
            escaped = key.replace("\\", "\\\\").replace(quote, f"\\{quote}")
            forms.append(f"[{quote}{escaped}{quote}]")
        if key.isascii() and key.replace("-", "_").isidentifier():
            forms.append(f".{key}" if path else key)
        path, value = path + draw(st.sampled_from(forms)), value[key]
    return path or "$", value


@given(documents, st.data())
def test_every_value_of_a_document_has_a_path(document: Any, data: st.DataObject) -> None:
    path, value = data.draw(paths_into(document))
    assert value_at(document, path) is value


def engine_value(document: Any, path: str) -> Any:
    try:
        return json_path_value(document, path, "s3://bucket/report.json")
    except ResolutionError as error:
        return error


def airflow_value(document: Any, path: str) -> float | EvaluationError:
    hook: Any = SimpleNamespace(read_object=lambda _: json.dumps(document).encode())
    try:
        return read_metric(hook, "s3://bucket/report.json", path)
    except EvaluationError as error:
        return error


def is_metric(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


@given(documents, st.data())
def test_the_engine_and_airflow_read_the_same_metric(document: Any, data: st.DataObject) -> None:
    path = data.draw(
        paths_into(document).map(lambda drawn: drawn[0])
        | st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
        | st.text(max_size=8)
    )
    engine, airflow = engine_value(document, path), airflow_value(document, path)
    if is_metric(engine):
        assert airflow == float(engine)
    else:
        assert isinstance(airflow, EvaluationError)
