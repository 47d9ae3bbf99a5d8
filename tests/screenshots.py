"""Take the pictures in docs/images from a stack that is up: ``python -m tests.screenshots``.

Run ``make up``, ``make demo`` and ``make demo MSE_THRESHOLD=3.0`` first. The month of the page is backfilled
if it is not there yet, which takes a quarter of an hour. Needs Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

from sagemaker_pipelines.airflow_client import AirflowClient
from sagemaker_pipelines.page.app import PREFIX
from stack.demo import PAGE, TRAIN
from stack.lifecycle import Stack
from stack.settings import ROOT, StackSettings
from tests.waiting import until

IMAGES = ROOT / "docs" / "images"
MONTH = ("2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z")
MONTH_SECONDS = 3600.0


def main() -> None:
    """Take the graph of the newest accepted and rejected run, the trigger form, and the page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    stack = Stack.of(StackSettings.from_environment())
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1700, "height": 640}, color_scheme="light")
        url = f"{stack.settings.airflow_url}/dags/{TRAIN}"
        runs = _runs(stack.api)
        for name, run_id in runs.items():
            _graph(page, f"{url}/runs/{run_id}", IMAGES / f"graph-{name}.png")
        _form(page, url, IMAGES / "trigger-form.png")
        _await_month(stack.api)
        _page(page, f"{stack.settings.airflow_url}{PAGE}/{PREFIX}/index.html", runs["accepted"])
        browser.close()


def _runs(api: AirflowClient) -> dict[str, str]:
    """Return the newest run of each branch."""
    found: dict[str, str] = {}
    for run in api.runs(TRAIN):
        states = {task["task_id"]: task["state"] for task in api.task_instances(TRAIN, run["dag_run_id"])}
        for name, task_id in (("accepted", "trigger_scoring"), ("rejected", "notify_rejected")):
            if states.get(task_id) == "success":
                found.setdefault(name, run["dag_run_id"])
    return found


def _graph(page: Page, url: str, path: Path) -> None:
    page.goto(url)
    page.wait_for_selector("text=branch_on_mse")
    page.get_by_role("button", name="Show Graph").click()
    page.wait_for_selector("text=branch_on_mse")
    # The UI remembers this for the next page.
    expand = page.get_by_role("button", name="Expand all task groups")
    if expand.is_enabled():
        expand.click()
    page.wait_for_selector("text=AbaloneTransform")
    if (collapse := page.get_by_role("button", name="Collapse Details Panel")).count():
        collapse.click()
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Fit View").click()
    page.wait_for_timeout(2000)
    page.screenshot(path=path)


def _await_month(api: AirflowClient) -> None:
    """Backfill a month, unless that has been done, and wait for its end."""
    backfill = api.create_backfill(TRAIN, *MONTH, max_active_runs=2)

    def ended() -> bool:
        return all(run["state"] in ("success", "failed") for run in api.backfill_runs(backfill))

    until(ended, f"backfill {backfill['id']} to end", seconds=MONTH_SECONDS, every=5)


def _page(page: Page, url: str, run_id: str) -> None:
    """Take the backfilled executions on the page, and one run."""
    page.set_viewport_size({"width": 1400, "height": 1060})
    page.goto(f"{url}?{urlencode({'dag_id': TRAIN})}")
    frame = page.frame_locator("iframe")
    frame.get_by_label("Runs").select_option("yes")
    frame.locator("section svg").first.wait_for()
    page.screenshot(path=IMAGES / "page-dag.png")
    page.goto(f"{url}?{urlencode({'dag_id': TRAIN, 'run_id': run_id})}")
    frame.locator("section svg").nth(1).wait_for()
    page.screenshot(path=IMAGES / "page-run.png")


def _form(page: Page, url: str, path: Path) -> None:
    page.set_viewport_size({"width": 1200, "height": 950})
    page.goto(url)
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    page.wait_for_timeout(1000)
    dialog.get_by_role("button", name="Gate").click()  # one section is open at a time
    dialog.get_by_text("MseThreshold").wait_for()
    page.wait_for_timeout(1000)
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
