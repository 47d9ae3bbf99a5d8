"""What counts as a metric in the output of a training program."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_local_runtime.jobs.metrics import final_metrics, log_unusable_metrics


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (["loss=0.5;", "loss=0.25;"], [0.25]),
        (["loss=0.5;", "loss=nan;", "loss=-inf;"], [0.5]),
        (["loss=nan;"], []),
        (["loss=none;"], []),
        (["los=1;"], []),
    ],
)
def test_the_last_number_is_the_final_value(tmp_path: Path, lines: list[str], values: list[float]) -> None:
    log = tmp_path / "output.log"
    log.write_text("\n".join(lines))
    job = job_with("loss=(.*?);", folder=SimpleNamespace(log=log))
    assert [item["Value"] for item in final_metrics(job, built_in=False)] == values


@pytest.mark.parametrize(
    ("regex", "cause"), [("loss=(.*?", "unterminated subpattern"), ("loss=[0-9.]+", "it has no group")]
)
def test_the_log_names_a_metric_that_cannot_be_read(tmp_path: Path, regex: str, cause: str) -> None:
    log = tmp_path / "output.log"
    log.write_text("loss=0.5;")
    lines: list[str] = []
    job = job_with(regex, folder=SimpleNamespace(log=log), log=SimpleNamespace(add_line=lines.append))
    log_unusable_metrics(job)
    (line,) = lines
    assert line.startswith(f"The metric loss is not recorded: its Regex {regex!r} cannot be used: ")
    assert cause in line
    assert not final_metrics(job, built_in=False)


def job_with(regex: str, **fields: Any) -> Any:
    """Return a training job that defines one metric."""
    algorithm = {"MetricDefinitions": [{"Name": "loss", "Regex": regex}]}
    return SimpleNamespace(document={"AlgorithmSpecification": algorithm}, **fields)
