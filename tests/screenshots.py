"""Take the pictures in docs/images: ``python -m tests.screenshots [STATE_DIR]``. Needs Chromium.

Executes the abalone pipeline, starts stacks of its own, backfills a month and runs both demonstrations, which
takes half an hour. The next call with the same folder, by default ``.state/screenshots``, keeps the runs of
the month and of the first demonstration.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_pipelines.airflow_client import AirflowClient
from sagemaker_pipelines.aws.view import Progress
from sagemaker_pipelines.page.app import PREFIX
from stack.demo import PAGE, TRAIN, demo
from stack.demo_champion import DAG, GENERATIONS, QUESTION, ChampionDemo, Generation, demo_champion
from stack.lifecycle import Stack
from stack.run import run as run_abalone
from stack.settings import ROOT, StackSettings
from tests.e2e.month.month import BAD_DAY, month_runs

IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Make the runs that the pictures show, and take the pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".state" / "screenshots"
    stack = Stack.of(
        StackSettings(state_dir=folder.resolve(), airflow_port=free_port(), runtime_port=free_port())
    )
    stack.up()
    try:
        month = month_runs(stack)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1400, "height": 1060}, color_scheme="light")
            page.set_default_timeout(120_000)
            terminal(page, stack.settings)
            _pages(page, f"{stack.settings.airflow_url}{PAGE}/{PREFIX}/index.html", month)
            if _accepted(stack.api) is None:
                demo(stack.settings, Console(), threshold=6.0)
            url = f"{stack.settings.airflow_url}/dags/{TRAIN}"
            _graph(page, f"{url}/runs/{_accepted(stack.api)}", IMAGES / "graph-accepted.png")
            _form(page, url, IMAGES / "trigger-form.png")
            browser.close()
    finally:
        stack.down()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(120_000)
        decision(page, folder.resolve())
        browser.close()


def terminal(page: Page, settings: StackSettings) -> None:
    """Run ``make run``, and take what it prints, in its colours."""
    console = Console(record=True, width=110, force_terminal=True)
    run_abalone(settings, console, parameters={"ModelApprovalStatus": "Approved"})
    page.set_content(console.export_html())
    page.locator("pre").screenshot(path=IMAGES / "terminal-run.png")


def decision(page: Page, folder: Path) -> None:
    """Run the demonstration of champions, and take its question, its graph and its decision."""
    settings = StackSettings(state_dir=folder, airflow_port=free_port(), runtime_port=free_port())
    demo_champion(settings, Console(), partial(_PicturedDemo, page))


class _PicturedDemo(ChampionDemo):
    """Takes a picture of each question before it is answered, and of what followed."""

    def __init__(self, page: Page, stack: Stack, console: Console, progress: Progress) -> None:
        super().__init__(stack, console, progress)
        self._page = page
        self._dag_url = f"{stack.settings.airflow_url}/dags/{DAG}"

    def run(self) -> None:
        super().run()
        _decided(self._page, f"{self._dag_url}/runs/{GENERATIONS[-1].name}")

    def approve(self, generation: Generation, reason: str) -> None:
        self._page.set_viewport_size({"width": 1400, "height": 900})
        self._page.goto(f"{self._dag_url}/runs/{generation.name}/tasks/{QUESTION}/required_actions")
        self._page.get_by_role("button", name="Approve").wait_for()
        self._page.wait_for_timeout(1000)
        # The last question is the one that remains.
        self._page.screenshot(path=IMAGES / "question.png")
        super().approve(generation, reason)


def _decided(page: Page, url: str) -> None:
    """Take the decision of a run, and its graph with the task groups closed."""
    page.set_viewport_size({"width": 1400, "height": 800})
    page.goto(f"{url}/tasks/{QUESTION}/xcom")
    page.get_by_text("decision", exact=True).wait_for()
    page.get_by_role("button", name="Expand all extra JSON").click()
    page.wait_for_timeout(2000)
    page.screenshot(path=IMAGES / "decision.png")
    _graph(page, url, IMAGES / "graph-challenger.png", expand=False)


def _pages(page: Page, url: str, month: list[dict[str, Any]]) -> None:
    """Take the month on the page, its last run, and the run that failed."""
    _executions(page, url)
    (failed,) = [run for run in month if run["data_interval_start"].startswith(BAD_DAY)]
    for name, run in {"run": month[-1], "failure": failed}.items():
        page.goto(f"{url}?{urlencode({'dag_id': TRAIN, 'run_id': run['dag_run_id']})}")
        page.frame_locator("iframe").locator("section svg").nth(1).wait_for()
        page.screenshot(path=IMAGES / f"page-{name}.png")


def _accepted(api: AirflowClient) -> str | None:
    """Return the newest run that has triggered scoring."""
    for run in api.runs(TRAIN):
        states = {task["task_id"]: task["state"] for task in api.task_instances(TRAIN, run["dag_run_id"])}
        if states.get("trigger_scoring") == "success":
            return str(run["dag_run_id"])
    return None


def _graph(page: Page, url: str, path: Path, *, expand: bool = True) -> None:
    page.set_viewport_size({"width": 1700, "height": 640})
    page.goto(url)
    page.wait_for_selector("text=branch_on_mse")
    page.get_by_role("button", name="Show Graph").click()
    page.wait_for_selector("text=branch_on_mse")
    if expand:
        # The UI remembers this for the next page.
        button = page.get_by_role("button", name="Expand all task groups")
        if button.is_enabled():
            button.click()
        page.wait_for_selector("text=AbaloneTransform")
    if (collapse := page.get_by_role("button", name="Collapse Details Panel")).count():
        collapse.click()
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Fit View").click()
    page.wait_for_timeout(2000)
    page.screenshot(path=path)


def _executions(page: Page, url: str) -> None:
    page.goto(f"{url}?{urlencode({'dag_id': TRAIN})}")
    frame = page.frame_locator("iframe")
    frame.get_by_label("Runs").select_option("yes")
    frame.locator("section svg").nth(1).wait_for()
    page.screenshot(path=IMAGES / "page-dag.png")


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
