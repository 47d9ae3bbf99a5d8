"""docs/from_data_to_a_decision.md shows the DAG of ``make demo-champion``, which tests/e2e/champion runs."""

from __future__ import annotations

from stack.settings import ROOT
from tests.documents import blocks


def test_the_documented_dag_is_the_one_that_the_demonstration_runs() -> None:
    (shown,) = blocks("from_data_to_a_decision.md", "python")
    assert shown == (ROOT / "dags" / "abalone_challenger.py").read_text()
    assert len(shown.splitlines()) < 40
