"""What the page makes of an answer, in a real browser and without Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from sagemaker_pipelines.page.routes import STATIC
from tests.e2e.page.conftest import needs_chromium
from tests.e2e.page.records import FIRST, bill, record, step

pytestmark = [pytest.mark.thorough, pytest.mark.xdist_group("page"), needs_chromium]

BASE = "http://page.test/sagemaker-pipelines/"


def run(run_id: str, *records: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a run as the route answers it, with an execution for each record."""
    executions: list[dict[str, Any]] = [
        {"task_id": f"wait_{i}", "execution": each, "gate": None, "links": {"steps": {}}}
        for i, each in enumerate(records)
    ]
    times = {"logical_date": FIRST, "start_date": FIRST, "run_after": FIRST, "end_date": FIRST}
    return {
        "dag_id": "train",
        "run_id": run_id,
        "state": "success",
        "run_type": "scheduled",
        **{name: moment.isoformat() for name, moment in times.items()},
        "executions": executions,
        **members,
    }


def priced(name: str, cost: float, currency: str | None) -> dict[str, Any]:
    billed = bill(30, cost=cost, currency=currency)
    money: dict[str, Any] = {"cost": cost, "cost_upper_bound": cost, "currency": currency}
    return record(name, steps=[step("Train", 0, 30, bill=billed)], instance_seconds=60, **money)


@dataclass
class Answers:
    """What the page's server answers.

    :param runs: the newest runs.
    :param older: those after them.
    :param fails: whether it refuses older runs.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    older: list[dict[str, Any]] = field(default_factory=list)
    fails: bool = False

    def __call__(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        path = address.path.removeprefix("/sagemaker-pipelines/")
        query = parse_qs(address.query)
        if path == "api/dags":
            route.fulfill(json={"dag_ids": ["train"]})
        elif path == "api/dags/train/runs" and query.get("offset", ["0"]) != ["0"]:
            if self.fails:
                route.fulfill(status=500)
            else:
                route.fulfill(json={"runs": self.older, "more": False})
        elif path == "api/dags/train/runs":
            route.fulfill(json={"runs": self.runs, "more": bool(self.older)})
        elif (STATIC / (path or "index.html")).is_file():
            route.fulfill(path=STATIC / (path or "index.html"))
        else:
            route.fulfill(status=404)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def page(browser: Browser, answers: Answers) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1360, "height": 1000})
    context.route("**", answers)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def tile(page: Page, name: str) -> Any:
    return page.locator(".tile").filter(has_text=name)


def chart(page: Page) -> Any:
    page.get_by_label("Measure").select_option("cost")
    return page.get_by_role("group", name="Cost by step")


def test_a_cost_has_the_currency_of_its_record(page: Page, answers: Answers) -> None:
    """An execution whose steps all came from the cache has a cost of 0, and no currency."""
    answers.runs = [run("cached", priced("cached", 0, None)), run("paid", priced("paid", 5, "CNY"))]
    page.goto(f"{BASE}?dag_id=train")
    expect(tile(page, "Billed")).to_contain_text("CNY 5.00")
    expect(chart(page)).to_contain_text("CNY 5.00 in all")
    expect(page.locator("main")).not_to_contain_text("USD")
    page.goto(BASE)
    expect(page.locator("tbody tr")).to_contain_text("Succeeded")
    expect(page.locator("main")).not_to_contain_text("USD")


def test_an_amount_without_a_currency_gets_none(page: Page, answers: Answers) -> None:
    answers.runs = [run("unknown", priced("unknown", 5, None))]
    page.goto(f"{BASE}?dag_id=train&run_id=unknown")
    expect(page.get_by_role("table", name="Steps")).to_contain_text("5.00")
    expect(page.locator("main")).not_to_contain_text("USD")


def test_different_currencies_are_not_added(page: Page, answers: Answers) -> None:
    answers.runs = [run("one", priced("one", 5, "EUR")), run("two", priced("two", 5, "USD"))]
    page.goto(f"{BASE}?dag_id=train")
    expect(tile(page, "Billed")).to_contain_text("120 instance-s")
    expect(page.get_by_role("table", name="Executions")).to_contain_text("EUR 5.00")
    expect(page.get_by_label("Measure").locator("option")).to_have_text(["Duration", "Instance-seconds"])


@pytest.mark.parametrize("known", ["record", "run"])
def test_a_step_without_an_end_ends_with_its_execution(page: Page, answers: Answers, known: str) -> None:
    """SageMaker leaves a step at Stopping when the execution is stopped."""
    end = (FIRST + timedelta(hours=1, minutes=10)).isoformat()
    stopping = step("Train", 300, 0, status="Stopping") | {"ended": None, "seconds": None}
    stopped = record("stopped", "Stopped", steps=[step("Prepare", 0, 300), stopping], ended=None)
    answers.runs = [
        run("stopped", stopped | {"ended": end})
        if known == "record"
        else run("stopped", stopped, end_date=end)
    ]
    page.goto(f"{BASE}?dag_id=train&run_id=stopped")
    bar = page.get_by_role("img", name="Steps over time").locator('[data-step="Train"]')
    expect(bar.locator("title")).to_have_text("Train: Stopping, 5 min")


def test_older_runs_that_cannot_be_read_are_asked_for_again(page: Page, answers: Answers) -> None:
    answers.runs, answers.older = [run("new", record("new"))], [run("old", record("old"))]
    answers.fails = True
    page.goto(f"{BASE}?dag_id=train")
    button = page.get_by_role("button", name="Load older runs")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("Airflow answered with the status 500")
    expect(button).to_be_enabled()
    answers.fails = False
    button.click()
    expect(page.get_by_text("All 2 runs are shown.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_runs_without_an_execution_lead_to_older_ones(page: Page, answers: Answers) -> None:
    answers.runs, answers.older = [run("new")], [run("old", record("old"))]
    page.goto(f"{BASE}?dag_id=train")
    expect(page.get_by_text("The newest runs (1) have no record of an execution")).to_be_visible()
    page.get_by_role("button", name="Load older runs").click()
    expect(page.get_by_text("All 2 runs are shown.")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_a_status_that_comes_later_can_be_chosen(page: Page, answers: Answers) -> None:
    answers.runs = [run("new", record("new")), run("stopped", record("stopped", "Stopped"))]
    answers.older = [run("old", record("old", "Failed"))]
    page.goto(f"{BASE}?dag_id=train")
    status = page.get_by_label("Status")
    status.select_option("Stopped")
    page.get_by_role("button", name="Load older runs").click()
    expect(status.locator("option")).to_have_text(["all", "Failed", "Stopped", "Succeeded"])
    expect(status).to_have_value("Stopped")
    status.select_option("Failed")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_run_with_two_executions_is_one_run(page: Page, answers: Answers) -> None:
    answers.runs = [run("compared", record("trained"), record("compared")), run("plain", record("plain"))]
    page.goto(f"{BASE}?dag_id=train")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(tile(page, "Billed")).to_contain_text("2 runs")
