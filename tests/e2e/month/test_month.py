"""Every number on the page is that of the records of a month of real runs."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_pipelines.page.app import PREFIX
from stack.demo import TRAIN
from stack.lifecycle import Stack
from stack.settings import StackSettings
from tests.e2e.month import shown
from tests.e2e.month.month import BAD_DAY, DAYS, PARTS, month_runs
from tests.waiting import GENEROUS_SECONDS, PATIENT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VERDICTS = {"accepted": "Accepted", "rejected": "Rejected", "awaiting_approval": "Awaiting approval"}

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@dataclass(frozen=True)
class Day:
    """A run, with what its tasks have pushed."""

    date: str
    run_id: str
    record: dict[str, Any]
    gate: dict[str, Any] | None

    @property
    def status(self) -> str:
        return "Rejected" if self.record["rejected"] else str(self.record["status"])

    @property
    def verdict(self) -> str:
        return VERDICTS[self.gate["verdict"]] if self.gate else shown.NOTHING


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = StackSettings(
        state_dir=tmp_path_factory.mktemp("stack"), airflow_port=free_port(), runtime_port=free_port()
    )
    stack = Stack(settings, extra_env=PATIENT)
    stack.up()
    try:
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def month(stack: Stack) -> list[Day]:
    """The month's days, the first one first."""
    return [_day(stack, run) for run in month_runs(stack)]


def _day(stack: Stack, run: dict[str, Any]) -> Day:
    run_id = run["dag_run_id"]
    record = stack.api.xcom(TRAIN, run_id, "wait_for_pipeline", "execution")
    assert record is not None, run
    gate = stack.api.xcom(TRAIN, run_id, "branch_on_mse", "gate")
    return Day(run["data_interval_start"][:10], run_id, record, gate)


@pytest.fixture(scope="module")
def view(stack: Stack) -> Iterator[Callable[..., Page]]:
    """Return a function that shows a view of the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 1400, "height": 1000}, timezone_id="UTC", locale="en-GB"
        )
        context.set_default_timeout(GENEROUS_SECONDS * 1000)
        expect.set_options(timeout=GENEROUS_SECONDS * 1000)
        page = context.new_page()

        def show(query: str = "") -> Page:
            page.goto(f"{stack.settings.airflow_url}/{PREFIX}/index.html{query}")
            expect(page.locator("main")).to_have_attribute("aria-busy", "false")
            return page

        yield show
        browser.close()


def cells(row: Locator) -> list[str]:
    return [text.strip() for text in row.locator("td").all_inner_texts()]


def labels(page: Page, chart: str) -> list[str | None]:
    """Return what the points or bars of a chart say, once it is drawn."""
    marks = page.get_by_role("group", name=chart, exact=True).locator("a")
    expect(marks).to_have_count(DAYS)
    return [mark.get_attribute("aria-label") for mark in marks.all()]


def test_the_month_has_every_kind_of_run(month: list[Day]) -> None:
    assert [each.date for each in month] == [f"2026-01-{day + 1:02}" for day in range(DAYS)]
    (failed,) = [each for each in month if each.status == "Failed"]
    assert (failed.date, failed.record["resumes"], failed.gate) == (BAD_DAY, 2, None)
    (resumed,) = [each for each in month if each.record["resumes"] and each is not failed]
    assert resumed.record["resumes"] == 1
    for part in PARTS:
        measured = [each for each in month if part.first <= each.date <= part.last and each is not failed]
        assert {each.gate["threshold"] for each in measured if each.gate} == {part.conf["MseThreshold"]}
        passing = "awaiting_approval" if "ModelApprovalStatus" in part.conf else "accepted"
        for each in measured:
            assert each.gate is not None
            passed = each.gate["value"] <= each.gate["threshold"]
            assert each.gate["verdict"] == (passing if passed else "rejected")
    assert {"Accepted", "Rejected", "Awaiting approval"} < {each.verdict for each in month}


def test_the_dags_view_shows_each_number(month: list[Day], view: Callable[..., Page]) -> None:
    page = view(f"?dag_id={TRAIN}")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(DAYS)
    newest_first = month[::-1]
    for row, each in zip(rows.all(), newest_first, strict=True):
        found = cells(row)
        assert found[:2] == [each.date, shown.moment(each.record["started"])]
        assert found[2] == f"{each.status} backfill"
        assert found[3:6] == [*_measured(each), each.verdict]
        assert found[6:8] == [shown.duration(shown.elapsed(each.record)), shown.billed([each.record])]
        assert found[8] == str(each.record["pipeline_version_id"])
        assert ("resumed" in found[9]) == bool(each.record["resumes"])
        if each.status == "Failed":
            assert f"{each.record['cause']['step_name']}: {each.record['cause']['reason'][:100]}" in found[9]
    # The first day after a part has another threshold than the day before.
    expect(rows.nth(DAYS - 16).locator("td").last).to_contain_text("MseThreshold = 10.0")
    assert page.locator(".tile .big").all_inner_texts() == _tiles(newest_first)
    assert labels(page, "Metric and threshold") == [_point(each) for each in month]


def _measured(each: Day) -> list[str]:
    if each.gate is None:
        return [shown.NOTHING, shown.NOTHING]
    return [shown.number(each.gate["value"]), shown.number(each.gate["threshold"])]


def _tiles(days: list[Day]) -> list[str]:
    passed = sum(each.verdict in ("Accepted", "Awaiting approval") for each in days)
    counts = [sum(each.status == status for each in days) for status in ("Rejected", "Failed")]
    last = next(each.gate["value"] for each in days if each.gate)
    return [shown.number(last), str(passed), *map(str, counts), shown.billed(each.record for each in days)]


def _point(each: Day) -> str:
    if each.gate is None:
        return f"{each.date} 00:00 UTC: failed in {each.record['cause']['step_name']}"
    metric, threshold = _measured(each)
    return f"{each.date} 00:00 UTC: mse {metric}, threshold {threshold}, {each.verdict}"


def test_the_charts_by_step_show_each_sum(month: list[Day], view: Callable[..., Page]) -> None:
    page = view(f"?dag_id={TRAIN}")
    expect(page.locator("tbody tr")).to_have_count(DAYS)
    durations = [_bar(each, lambda step: step["seconds"], shown.duration) for each in month]
    assert labels(page, "Duration by step") == durations
    page.get_by_label("Measure").select_option("Instance-seconds")
    assert labels(page, "Instance-seconds by step") == [
        _bar(each, lambda step: (step.get("bill") or {}).get("instance_seconds", 0), _seconds)
        for each in month
    ]


def _seconds(value: float) -> str:
    return f"{shown.number(value)} s"


def _bar(each: Day, value: Callable[[dict[str, Any]], float], text: Callable[[float], str]) -> str:
    total = sum(value(step) for step in each.record["steps"])
    return f"{shown.day(datetime.fromisoformat(each.date))}: {text(total)} in all"


def test_the_csv_has_each_value(month: list[Day], view: Callable[..., Page], tmp_path: Path) -> None:
    page = view(f"?dag_id={TRAIN}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download CSV").click()
    path = tmp_path / "saved.csv"
    saved.value.save_as(path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    for row, each in zip(rows, month[::-1], strict=True):
        record, gate = each.record, each.gate or {}
        assert (row["run_id"], row["status"]) == (each.run_id, each.status)
        assert row["pipeline_execution_arn"] == record["pipeline_execution_arn"]
        assert json.loads(row["parameters"]) == record["parameters"]
        assert row["verdict"] == gate.get("verdict", "")
        assert row["cause"].startswith(record["cause"]["step_name"] if record["cause"] else "")
        numbers = {
            "metric": gate.get("value"),
            "threshold": gate.get("threshold"),
            "seconds": shown.elapsed(record),
            **{
                name: record[name] for name in ("resumes", "instance_seconds", "instance_seconds_upper_bound")
            },
        }
        found = {name: float(row[name]) if row[name] else None for name in numbers}
        assert found == pytest.approx(numbers, rel=1e-12)


def test_the_overview_sums_them_up(month: list[Day], view: Callable[..., Page]) -> None:
    page = view()
    row = page.locator("tbody tr").filter(has=page.get_by_role("link", name=TRAIN, exact=True))
    last = month[-1]
    found = cells(row)
    assert found[1:3] == [shown.moment(last.record["started"]), last.status]
    (failed,) = [each for each in month if each.status == "Failed"]
    assert found[3].split("\n") == [
        shown.moment(failed.record["started"]),
        f"in {failed.record['cause']['step_name']}",
    ]
    assert found[4:6] == [" / ".join(_measured(last)), last.verdict]
    measured = [_measured(each)[0] for each in month[-20:] if each.gate]
    line = f"The last {len(measured)} metrics, from {measured[0]} to {measured[-1]}"
    expect(row.locator("svg")).to_have_attribute("aria-label", line)
    assert found[7] == shown.billed(each.record for each in month)


@pytest.mark.parametrize("number", range(DAYS))
def test_a_runs_view_shows_each_number(month: list[Day], view: Callable[..., Page], number: int) -> None:
    each = month[number]
    page = view(f"?dag_id={TRAIN}&run_id={each.run_id.replace('+', '%2B')}")
    summary = page.locator(".summary")
    for text in (
        each.status,
        shown.moment(each.record["started"]),
        shown.duration(shown.elapsed(each.record)),
        shown.billed([each.record]),
        each.record["pipeline_execution_arn"],
    ):
        expect(summary).to_contain_text(text)
    assert ("Resumed" in summary.inner_text()) == bool(each.record["resumes"])
    rows = page.get_by_role("table", name="Steps").locator("tbody tr")
    expect(rows).to_have_count(len(each.record["steps"]))
    for row, step in zip(rows.all(), each.record["steps"], strict=True):
        found = cells(row)
        assert (found[0], found[2:4]) == (step["name"], [step["status"], shown.duration(step["seconds"])])
        assert found[5] == shown.billed_step(step)
        bar = page.get_by_role("img", name="Steps over time").locator(f'[data-step="{step["name"]}"]')
        expect(bar).to_contain_text(shown.duration(step["seconds"]))
    for name, value in each.record["parameters"].items():
        # A step's name may hold a parameter's.
        term = page.locator("dt").filter(has_text=re.compile(f"^{name}$"))
        expect(term.locator("xpath=following-sibling::dd[1]")).to_have_text(value)
    if each.gate:
        gate = page.locator("section").filter(has_text="Passes if")
        for text in (*_measured(each), each.verdict):
            expect(gate).to_contain_text(text)
    else:
        expect(page.locator(".cause")).to_contain_text(each.record["cause"]["reason"])
