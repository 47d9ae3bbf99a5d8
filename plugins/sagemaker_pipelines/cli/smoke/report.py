"""The report of a smoke run, as JSON and as Markdown, without anything that identifies the account."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import botocore

from sagemaker_pipelines.aws.answers import (
    AWS_ENDPOINT,
    FORMAT,
    OTHER_ENDPOINT,
    differences,
    expected_answers,
    not_reached,
)
from sagemaker_pipelines.cli.smoke.place import Place
from sagemaker_pipelines.cli.smoke.running import PASSED, Result
from sagemaker_pipelines.messages import cut

_MAX_TEXT = 2000


def report_of(place: Place, result: Result, *, bound: float | None) -> dict[str, Any]:
    """Return the report as JSON types.

    :param place: where the run worked.
    :param result: what became of it.
    :param bound: the upper bound of the instance-seconds that was shown before the run.
    """
    answers, complete = place.recorder.answers, result.state == PASSED
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).date().isoformat(),
        "endpoint": AWS_ENDPOINT if place.is_aws else OTHER_ENDPOINT,
        "region": place.client.region,
        "versions": _versions(),
        "state": result.state,
        "stages": [
            {"name": s.name, "state": s.state, "seconds": s.seconds, "text": _text(place, s.text)}
            for s in result.stages
        ],
        "created": [
            {
                "kind": each.kind,
                "name": _text(place, each.name.rpartition(":")[2]),
                "problem": _text(place, each.problem),
            }
            for each in result.created
        ],
        "instance_seconds": result.instance_seconds,
        "instance_seconds_bound": bound,
        "differences": differences(answers, expected_answers(), complete=complete),
        "not_reached": {} if complete else not_reached(answers, expected_answers()),
        "answers": answers,
    }


def write_report(report: Mapping[str, Any], folder: Path, name: str) -> tuple[Path, Path]:
    """Write both forms of a report and return their paths.

    :param report: the report.
    :param folder: an existing folder.
    :param name: the name of the files, without suffix.
    """
    as_json, as_markdown = folder / f"{name}.json", folder / f"{name}.md"
    write_json(report, as_json)
    as_markdown.write_text("\n".join(_markdown(report)) + "\n", encoding="utf-8")
    return as_json, as_markdown


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write JSON in the form of the committed files."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _text(place: Place, text: str) -> str:
    return cut(place.anonymous(text), _MAX_TEXT)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "botocore": botocore.__version__}
    for name in ("airflow-sagemaker-pipelines", "apache-airflow", "apache-airflow-providers-amazon"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # In a checkout, the package itself is not installed.
            continue
    return found


def _markdown(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Smoke run: {report['state']}"
    yield ""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    yield f"{report['date']}, {report['region']}, endpoint: {report['endpoint']}; {versions}."
    yield (
        f"Billed: {report['instance_seconds']:.0f} instance-seconds, "
        f"at most {report['instance_seconds_bound'] or 'unknown'}."
    )
    yield ""
    yield from _table(("stage", "state", "seconds", "found"), report["stages"], "name state seconds text")
    yield ""
    yield "## Created"
    yield ""
    rows = [{**each, "problem": each["problem"] or "removed"} for each in report["created"]]
    yield from _table(("what", "name", "state"), rows, "kind name problem")
    yield ""
    yield "## Answers that differ from the expected ones"
    yield ""
    yield from _listed(report["differences"])
    yield ""
    if report["not_reached"]:
        yield "## Expected answers that were not reached"
        yield ""
        yield from _listed(report["not_reached"])
        yield ""
    yield "## Errors"
    yield ""
    rows = [
        {"action": action, "error": error, "text": text}
        for action, answer in report["answers"].items()
        for error, text in answer["errors"].items()
    ]
    yield from _table(("action", "error", "text"), rows, "action error text")


def _listed(actions: Mapping[str, list[str]]) -> Iterator[str]:
    if not actions:
        yield "None."
    for action, lines in actions.items():
        yield f"- `{action}`"
        yield from (f"  - {line}" for line in lines)


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]], keys: str) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        # A line break or a bar in AWS's text would end the cell.
        cells = (" ".join(str(row[key]).split()).replace("|", "\\|") for key in keys.split())
        yield f"| {' | '.join(cells)} |"
