"""What a user sees and types in the Airflow UI, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.e2e.project.conftest import Airflow
from tests.waiting import GENEROUS_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DAG = "abalone_train"

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture
def page(airflow: Airflow, tmp_path: Path) -> Iterator[Page]:
    """The DAG's page, in a window that is tall enough for its forms."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1500})
        page.set_default_timeout(GENEROUS_SECONDS * 1000)
        expect.set_options(timeout=GENEROUS_SECONDS * 1000)
        page.goto(f"{airflow.settings.airflow_url}/dags/{DAG}")
        yield page
        page.screenshot(path=tmp_path / "end.png")
        browser.close()


def form(page: Page) -> Locator:
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog").first
    expect(section(dialog, "Gate")).to_be_visible()
    return dialog


def section(dialog: Locator, name: str) -> Locator:
    return dialog.get_by_role("button", name=name, exact=True)


def fill(dialog: Locator, name: str, value: str) -> Locator:
    """Type into one of the definition's parameters."""
    field = dialog.locator(f"input[name=element_{name}]")
    field.fill(value)
    field.press("Tab")
    return field


def choose_date(page: Page, dialog: Locator, date: str) -> None:
    """Give the backfill form its next open date."""
    dialog.get_by_text("Select date and time").first.click()
    page.get_by_placeholder("YYYY/MM/DD").last.fill(date)
    page.get_by_placeholder("HH:mm").last.fill("00:00")
    page.keyboard.press("Escape")


def test_the_trigger_form_is_the_definitions_and_starts_a_run(airflow: Airflow, page: Page) -> None:
    earlier = {run["dag_run_id"] for run in airflow.api.runs(DAG)}
    dialog = form(page)
    section(dialog, "Gate").click()
    expect(dialog.get_by_text("The mean squared error of the test split up to which")).to_be_visible()
    # The form itself keeps a number within its range.
    expect(fill(dialog, "MseThreshold", "-5")).to_have_value("0")
    fill(dialog, "MseThreshold", "3")

    section(dialog, "Data").click()
    fill(dialog, "InputData", "abalone.csv")
    trigger = dialog.get_by_role("button", name="Trigger", exact=True)
    trigger.click()
    expect(
        dialog.get_by_text("Invalid input for param InputData: 'abalone.csv' does not match")
    ).to_be_visible()
    assert {run["dag_run_id"] for run in airflow.api.runs(DAG)} == earlier

    fill(dialog, "InputData", "")
    trigger.click()
    expect(dialog).to_be_hidden()
    (run_id,) = {run["dag_run_id"] for run in airflow.api.runs(DAG)} - earlier
    page.goto(f"{airflow.settings.airflow_url}/dags/{DAG}/runs/{run_id}")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=GENEROUS_SECONDS * 1000)
    run = airflow.finished(DAG, run_id)
    assert (run.state, run.tasks["notify_rejected"]) == ("success", "success")
    assert airflow.api.run(DAG, run_id)["conf"]["MseThreshold"] == 3


def backfill_runs(airflow: Airflow) -> dict[str, dict[str, Any]]:
    runs = airflow.api.runs(DAG)
    return {run["dag_run_id"]: run for run in runs if run["run_type"] == "backfill"}


@pytest.fixture
def paused(airflow: Airflow) -> Iterator[None]:
    with airflow.paused(DAG):
        yield


@pytest.mark.usefixtures("paused")
def test_the_backfill_form_runs_each_date(airflow: Airflow, page: Page) -> None:
    earlier = backfill_runs(airflow).keys()
    dialog = form(page)
    dialog.get_by_text("Backfill", exact=True).click()
    for date in ("2026/01/13", "2026/01/14"):
        choose_date(page, dialog, date)
    expect(dialog.get_by_text("2 runs will be triggered.")).to_be_visible()
    dialog.locator("input[name=max_active_runs]").fill("2")
    dialog.get_by_text(f"Unpause {DAG} on trigger").click()
    # Without it Airflow 3.3.2 sends none of the form's parameters.
    dialog.get_by_text("Override parameters on existing runs").click()

    section(dialog, "Data").click()
    fill(dialog, "BatchData", "holdout.csv")
    run_backfill = dialog.get_by_role("button", name="Run Backfill")
    run_backfill.click()
    expect(page.get_by_text("Invalid input for param BatchData").first).to_be_visible()
    assert backfill_runs(airflow).keys() == earlier

    fill(dialog, "BatchData", "")
    section(dialog, "Gate").click()
    fill(dialog, "MseThreshold", "20")
    run_backfill.click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Backfill in progress")).to_be_visible()
    airflow.api.unpause(DAG)
    page.reload()  # a page of a paused DAG does not refresh itself
    expect(page.get_by_text("Backfill in progress")).to_be_visible()
    # Airflow sees a backfill's end in a look every 30 s.
    expect(page.get_by_text("Backfill in progress")).to_be_hidden(timeout=GENEROUS_SECONDS * 1000)
    runs = [run for run_id, run in backfill_runs(airflow).items() if run_id not in earlier]
    assert sorted(run["logical_date"][:10] for run in runs) == ["2026-01-13", "2026-01-14"]
    assert {(run["state"], run["conf"]["MseThreshold"]) for run in runs} == {("success", 20)}
