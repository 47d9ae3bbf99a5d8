"""The page shows of real runs what their tasks have recorded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.month import shown
from tests.e2e.project.conftest import Airflow, Scenario
from tests.waiting import GENEROUS_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DAG = "abalone_train"

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(GENEROUS_SECONDS * 1000)
        expect.set_options(timeout=GENEROUS_SECONDS * 1000)
        yield page
        browser.close()


def test_the_numbers_of_each_run_are_those_of_its_record(
    airflow: Airflow, scenario: Scenario, page: Page
) -> None:
    address = f"{airflow.settings.airflow_url}/sagemaker-pipelines/?dag_id={DAG}"
    statuses = {
        "accepted": "Succeeded",
        "rejected": "Rejected",
        "awaiting_approval": "Succeeded",
        "failed": "Failed",
    }
    runs = {name: scenario(name) for name in statuses}
    page.goto(address)
    for name, status in statuses.items():
        run = runs[name]
        record = airflow.api.xcom(DAG, run.run_id, "wait_for_pipeline", "execution")
        row = page.locator("tbody tr").filter(has=page.locator(f'a[href$="run_id={run.run_id}"]'))
        expect(row).to_contain_text(status)
        assert record is not None, airflow.api.task_instances(DAG, run.run_id)
        expect(row).to_contain_text(shown.billed([record]))
        if name != "failed":
            gate = airflow.api.xcom(DAG, run.run_id, "branch_on_mse", "gate")
            expect(row.locator("td").nth(3)).to_have_text(shown.number(gate["value"]))
            expect(row.locator("td").nth(4)).to_have_text(shown.number(gate["threshold"]))
    for name in statuses:
        check_run(airflow, page, f"{address}&run_id={runs[name].run_id}", runs[name].run_id)


def check_run(airflow: Airflow, page: Page, address: str, run_id: str) -> None:
    record: dict[str, Any] = airflow.api.xcom(DAG, run_id, "wait_for_pipeline", "execution")
    page.goto(address)
    expect(page.locator(".summary")).to_contain_text(record["pipeline_execution_arn"])
    rows = page.get_by_label("Steps", exact=True).last.locator("tbody tr")
    expect(rows).to_have_count(len(record["steps"]))
    for i, step in enumerate(record["steps"]):
        cells = rows.nth(i).locator("td")
        expect(cells.nth(0)).to_have_text(step["name"])
        expect(cells.nth(2)).to_have_text(step["status"])
        expect(cells.nth(5)).to_have_text(shown.billed_step(step))
    if cause := record["cause"]:
        expect(page.locator(".cause")).to_contain_text(cause["reason"])
        for line in cause["log_tail"]:
            expect(page.locator(".cause pre")).to_contain_text(line)
