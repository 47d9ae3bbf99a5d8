"""What a viewer sees on the page, in a real browser."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.page.access import OUTSIDER
from tests.e2e.page.conftest import TIMEOUT, needs_chromium
from tests.e2e.page.records import CLOUDWATCH, HOSTILE, STUDIO
from tests.e2e.page.server import ADMIN, PageServer

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.xdist_group("page"),
    needs_chromium,
]


def session(browser: Browser, server: PageServer, user: str = ADMIN, **options: Any) -> BrowserContext:
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT)
    context.add_cookies([{"name": "_token", "value": server.token(user), "url": server.url}])
    return context


@pytest.fixture
def page(browser: Browser, server: PageServer) -> Iterator[Page]:
    context = session(browser, server, viewport={"width": 1360, "height": 1000})
    page = context.new_page()
    errors: list[str] = []
    requested: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    yield page
    context.close()
    assert errors == []
    # A saved file has an address of the page itself.
    assert [url for url in requested if not url.startswith((server.url, "blob:"))] == []


def row(page: Page, run_id: str) -> Any:
    return page.locator("tbody tr").filter(has=page.locator(f'a[href$="run_id={run_id}"]'))


def test_a_dag_shows_each_of_its_runs(server: PageServer, page: Page) -> None:
    page.goto(f"{server.page}?dag_id=train")
    for run_id, texts in {
        "accepted": ("2026-01-02", "Succeeded", "4.25", "Accepted", "1 min 30 s", "180 instance-s"),
        "rejected": ("2026-01-03", "Rejected", "7.5", "180 instance-s"),
        "failed": ("2026-01-04", "Failed", "http://example.com"),
        "resumed": ("2026-01-05", "Succeeded", "Awaiting approval", "120 instance-s"),
        "older_version": ("2026-01-06", "Succeeded", "3.75", "33 instance-s"),
        "priced": ("2026-01-07", "USD 1.00"),
        "no_execution": ("2026-01-08", "Failed"),
        "running": ("2026-01-09", "Running"),
    }.items():
        for text in texts:
            expect(row(page, run_id)).to_contain_text(text)
    for kind, count in {"accepted": 3, "rejected": 1, "awaiting": 1}.items():
        expect(page.locator(f"section .chart a .mark.{kind}")).to_have_count(count)


def test_hostile_texts_are_shown_and_never_run(server: PageServer, page: Page) -> None:
    answer = page.goto(f"{server.page}?dag_id=train&run_id=failed")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    expect(page.locator(".cause h2")).to_have_text(f"{HOSTILE} failed")
    expect(page.locator(".cause p").first).to_have_text(f"AlgorithmError: {HOSTILE}")
    expect(page.locator("pre")).to_contain_text(HOSTILE)
    expect(page.locator("dt", has_text=HOSTILE)).to_be_visible()
    expect(page.locator("table")).to_contain_text("3 attempts")
    assert page.locator("main img, main script").count() == 0
    page.goto(f"{server.page}?dag_id={HOSTILE}")
    expect(page.get_by_role("alert").or_(page.locator("h1"))).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_a_run_shows_attempts_cache_hits_and_its_graph(server: PageServer, page: Page) -> None:
    page.goto(f"{server.page}?dag_id=train&run_id=resumed")
    chart = page.get_by_role("img", name="Steps over time")
    expect(chart.locator('[data-step="Train"]')).to_contain_text("2 attempts")
    expect(chart.locator('[data-step="Evaluate"]')).to_contain_text("from the cache")
    graph = page.get_by_role("img", name="Graph of the definition")
    expect(graph.locator('[data-step="AbaloneMSECond"]')).to_contain_text("did not run")
    expect(page.get_by_text("s3://bucket/model.tar.gz")).to_be_visible()
    page.goto(f"{server.page}?dag_id=train&run_id=running")
    expect(page.get_by_role("img", name="Steps over time")).to_contain_text("AbaloneProcess")
    page.goto(f"{server.page}?dag_id=train&run_id=priced")
    expect(page.locator(".summary")).to_contain_text("USD 1.00 at the prices of 2026-10-01")


def test_a_run_shows_its_executions_in_the_order_of_their_starts(server: PageServer, page: Page) -> None:
    page.goto(f"{server.page}?dag_id=train&run_id=compared")
    expect(page.locator(".summary")).to_contain_text(["execution/trained", "execution/compared"])


def test_links_lead_to_aws_where_the_tasks_have_pushed_them(server: PageServer, page: Page) -> None:
    page.goto(f"{server.page}?dag_id=train")
    expect(row(page, "failed").get_by_role("link", name="Studio")).to_have_attribute("href", STUDIO)
    expect(row(page, "failed").get_by_role("link", name="Log")).to_have_attribute("href", CLOUDWATCH)
    expect(row(page, "resumed").get_by_role("link", name="Studio")).to_have_count(0)
    page.goto(f"{server.page}?dag_id=train&run_id=failed")
    expect(page.get_by_role("link", name="SageMaker Studio")).to_have_attribute("href", STUDIO)
    expect(page.locator(".cause").get_by_role("link")).to_have_attribute("href", CLOUDWATCH)
    # What is not an address of a web page is not a link.
    assert page.locator('a[href^="javascript"]').count() == 0
    page.goto(f"{server.page}?dag_id=train&run_id=resumed")
    log = page.locator("table").get_by_role("link", name="Log")
    expect(log).to_have_attribute("href", CLOUDWATCH)
    expect(log).to_have_attribute("target", "_blank")
    page.goto(f"{server.page}?dag_id=history")
    expect(page.locator("tbody tr")).to_have_count(100)
    expect(page.get_by_role("columnheader", name="In AWS")).to_have_count(0)


def test_filters_choose_what_is_shown_and_saved(server: PageServer, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server.page}?dag_id=train")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(12)
    page.get_by_label("Status").select_option("Failed")
    expect(rows).to_have_count(3)
    page.get_by_label("To", exact=True).fill("2026-01-04")
    expect(rows).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download CSV").click()
    path = tmp_path / "saved.csv"
    saved.value.save_as(path)
    (found,) = csv.DictReader(path.read_text().splitlines())
    assert (found["run_id"], found["status"], found["instance_seconds"]) == ("failed", "Failed", "180")
    assert json.loads(found["parameters"])[HOSTILE].startswith("=HYPERLINK")
    page.get_by_label("Runs").select_option("backfills")
    expect(page.get_by_text("No execution matches these filters.")).to_be_visible()


def test_older_runs_come_on_demand(server: PageServer, page: Page) -> None:
    page.goto(f"{server.page}?dag_id=history")
    expect(page.locator("tbody tr")).to_have_count(100)
    page.get_by_role("button", name="Load older runs").click()
    expect(page.locator("tbody tr")).to_have_count(200)
    expect(page.get_by_text("The newest 200 runs are shown.")).to_be_visible()


def test_the_overview_leads_to_each_pipeline(server: PageServer, page: Page) -> None:
    page.goto(server.page)
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").filter(has_text="train")).to_contain_text("2 running")
    page.get_by_role("link", name="train").click()
    expect(page.get_by_role("heading", name="train")).to_be_visible()


def test_a_dag_without_pipelines_explains_itself(server: PageServer, page: Page) -> None:
    page.goto(f"{server.page}?dag_id=other")
    expect(page.locator(".empty")).to_contain_text("This DAG has no runs yet")


def test_the_keyboard_reaches_every_point(server: PageServer, page: Page) -> None:
    page.goto(f"{server.page}?dag_id=train")
    point = page.get_by_role("link", name=re.compile("mse 7.5, threshold 6, Rejected"))
    expect(point).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if point.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".summary")).to_contain_text("Rejected")


VIEWS = ["", "?dag_id=train", "?dag_id=train&run_id=failed", "?dag_id=train&run_id=resumed"]
# What is outside of the window (tables and the graph scroll in boxes of their own), or hides other text.
UNREADABLE = """() => {
  const outer = "h1, h2, p, a, button, select, input, dt, dd, .tile, .scroll, svg";
  const rects = (elements) => [...elements].map((each) => [each.textContent, each.getBoundingClientRect()]);
  const apart = ([, a], [, b]) =>
    a.right < b.left + 1 || b.right < a.left + 1 || a.bottom < b.top + 1 || b.bottom < a.top + 1;
  const shown = [...document.querySelectorAll(outer)]
    .filter((each) => !each.parentElement.closest(".scroll"));
  const outside = rects(shown).filter(([, box]) => box.left < 0 || box.right > window.innerWidth + 1);
  const charts = [...document.querySelectorAll("svg")].flatMap((chart) => {
    const box = chart.getBoundingClientRect();
    const texts = rects(chart.querySelectorAll("text"));
    const cut = texts.filter(([, text]) => text.left < box.left - 1 || text.right > box.right + 1);
    return [...cut, ...texts.filter((one, i) => texts.slice(i + 1).some((other) => !apart(one, other)))];
  });
  return [...outside, ...charts].map(([text]) => text);
}"""


@pytest.mark.parametrize("address", VIEWS)
@pytest.mark.parametrize(
    ("options", "zoom"),
    [
        ({"viewport": {"width": 320, "height": 700}}, 1),
        # Twice as many pixels of the screen for each one of the page, as a browser's zoom does.
        ({"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2}, 1),
        ({"viewport": {"width": 1280, "height": 900}}, 2),
    ],
    ids=["narrow", "browser zoom 200 %", "css zoom 200 %"],
)
def test_a_narrow_window_and_200_percent_zoom_keep_everything_readable(
    browser: Browser, server: PageServer, address: str, options: Any, zoom: int
) -> None:
    context = session(browser, server, **options)
    page = context.new_page()
    page.goto(server.page + address)
    page.evaluate("zoom => document.documentElement.style.setProperty('zoom', zoom)", zoom)
    expect(page.locator("main")).to_have_attribute("aria-busy", "false")
    if address:
        expect(page.locator(".chart svg").first).to_be_visible()
    # A chart is drawn again, a frame later, when its box has another width.
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    page.wait_for_function(f"({UNREADABLE})().length === 0")
    context.close()


def test_an_outsider_is_told_so(browser: Browser, server: PageServer) -> None:
    context = session(browser, server, OUTSIDER)
    page = context.new_page()
    page.goto(f"{server.page}?dag_id=train&run_id=accepted")
    expect(page.get_by_role("alert")).to_contain_text("You may not read the runs and XComs of this DAG")
    page.goto(server.page)
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "train" not in page.locator("tbody").inner_text()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_airflow_shows_it_in_its_own_theme(browser: Browser, server: PageServer, scheme: Any) -> None:
    context = session(browser, server, viewport={"width": 1500, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{server.url}/dags/train/plugin/sagemaker-pipelines-dag")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("link", name="2026-01-02", exact=True)).to_be_visible()
    outer = page.locator("html")
    expect(outer).to_have_class(re.compile(scheme))
    expect(frame.locator("html")).to_have_attribute("data-theme", scheme)
    frame.get_by_role("link", name="Open the DAG").click()
    page.wait_for_url(f"{server.url}/dags/train")
    page.goto(f"{server.url}/dags/train/runs/rejected/plugin/sagemaker-pipelines-dag-run")
    expect(page.frame_locator("iframe").locator(".summary")).to_contain_text("Rejected")
    page.goto(f"{server.url}/plugin/sagemaker-pipelines")
    page.frame_locator("iframe").get_by_role("link", name="train").click()
    # Airflow's own address follows, so that it can be kept and sent to others.
    page.wait_for_url("**dag_id=train")
    page.reload()
    expect(page.frame_locator("iframe").get_by_role("heading", name="train", exact=True)).to_be_visible()
    context.close()
