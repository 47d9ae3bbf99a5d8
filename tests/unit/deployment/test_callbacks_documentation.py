"""docs/callbacks.md: its code, its definition and its policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sagemaker_pipelines.aws.callbacks import MAX_REASON
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.definition.linter import lint
from stack.settings import ROOT
from tests.documents import blocks
from tests.iam import statements
from tests.unit.definition.samples import MODEL

DOCS = ROOT / "docs"
TEXT = (DOCS / "callbacks.md").read_text()


def test_the_documented_dag_is_the_tested_one() -> None:
    (shown,) = blocks("callbacks.md", "python")
    example = (DOCS / "examples" / "data_check.py").read_text()
    assert shown == example
    assert len(example.splitlines()) < 40


def test_the_documented_step_fits_into_the_abalone_definition() -> None:
    (shown,) = blocks("callbacks.md", "json")
    definition: Mapping[str, Any] = Envelope.load(ROOT / "dags" / "definitions" / "abalone.json").definition
    steps = [*definition["Steps"], json.loads(shown)]
    assert lint({**definition, "Steps": steps}, MODEL) == []


def test_the_limit_of_a_reason_is_right() -> None:
    assert f"at most {MAX_REASON} characters" in TEXT


def test_the_policies_name_the_queue_of_the_example() -> None:
    (sending,) = statements("sagemaker-execution-callbacks")
    (receiving, _) = statements("airflow-callbacks")
    assert sending["Resource"] == receiving["Resource"]
    _, _, _, region, account, queue = sending["Resource"][0].split(":")
    assert f"https://sqs.{region}.amazonaws.com/{account}/{queue}" in TEXT
