"""The comparison of two models: complete, bounded, and readable by other versions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sagemaker_pipelines.aws.comparison import MAX_BYTES, Comparison, Contender, Slice
from sagemaker_pipelines.exceptions import EvaluationError

PACKAGES = "arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone"
COMPARED = Comparison(
    metric="mse",
    larger_is_better=False,
    margin=0.1,
    threshold=6.0,
    challenger=Contender(arn=f"{PACKAGES}/2", value=4.5),
    champion=Contender(arn=f"{PACKAGES}/1", value=5.0),
    difference=-0.5,
    interval=(-0.8, -0.2),
    confidence=0.95,
    rows=417,
    resamples=1000,
    seed=2026,
    slices=(Slice(name="sex=F", rows=130, challenger=5.1, champion=None),),
    wins=True,
    reason="mse 4.5 is 0.5 better than 5",
    execution_arn="arn:aws:sagemaker:us-east-1:123456789012:pipeline/comparison/execution/abc",
    report_uri="s3://bucket/comparison/abc/comparison.json",
)


def through_xcom(document: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    return loaded


def test_a_comparison_is_the_same_after_xcom() -> None:
    assert Comparison.from_document(through_xcom(COMPARED.as_document())) == COMPARED


def test_a_first_model_has_no_champion_and_no_interval() -> None:
    first = Comparison(
        metric="mse",
        larger_is_better=False,
        margin=0.1,
        threshold=6.0,
        challenger=COMPARED.challenger,
        wins=True,
        reason="first",
        report_uri="s3://bucket/evaluation.json",
    )
    read = Comparison.from_document(through_xcom(first.as_document()))
    assert (read, read.champion, read.interval, read.slices) == (first, None, None, ())


def test_members_of_a_newer_version_are_ignored() -> None:
    document = COMPARED.as_document() | {"version": 2, "explained": {"by": "shap"}}
    document["slices"][0]["weight"] = 0.5
    assert Comparison.from_document(document) == replace(COMPARED, version=2)


@pytest.mark.parametrize(
    "broken",
    [
        {"challenger": None},
        {"challenger": {"arn": "a", "value": float("nan")}},
        {"champion": {"arn": "a"}},
        {"interval": [1.0]},
        {"interval": [1.0, "2"]},
        {"threshold": True},
        {"slices": 3},
    ],
)
def test_a_broken_comparison_is_refused_with_the_cure(broken: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError, match="clear the group compare_with_champion"):
        Comparison.from_document(COMPARED.as_document() | broken)


def test_a_missing_member_is_named() -> None:
    document = COMPARED.as_document()
    del document["wins"]
    with pytest.raises(EvaluationError, match="'wins'"):
        Comparison.from_document(document)


def test_what_is_pushed_is_bounded_and_in_one_line() -> None:
    many = tuple(Slice(name="é" * 5_000, rows=1, challenger=1.0, champion=2.0) for _ in range(1_000))
    huge = replace(COMPARED, slices=many, reason="line\n" * 9_000, metric="m" * 9_000)
    document = huge.as_document()
    assert len(json.dumps(document).encode()) <= MAX_BYTES
    assert "\n" not in document["reason"]
    assert "cut" in document["reason"]
    assert document["slices"]
    assert Comparison.from_document(through_xcom(document)).wins
