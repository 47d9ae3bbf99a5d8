"""How soon the page shows the newest 100 of 1,000 runs."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.e2e.page.records import LONG_HISTORY
from tests.e2e.page.server import ADMIN, PageServer

ROUNDS = 7
RUNS = "api/dags/history/runs"


def main() -> None:
    """Measure the route, the answer that nothing has changed, and the browser."""
    with tempfile.TemporaryDirectory() as folder:
        server = PageServer(Path(folder))
        try:
            server.start()
            print(f"The page, over a DAG with {LONG_HISTORY} runs in SQLite:")
            _measure_route(server)
            _measure_browser(server)
        finally:
            server.stop()


def _measure_route(server: PageServer) -> None:
    with server.client(ADMIN) as client:
        answer = client.get(RUNS)
        etag = {"if-none-match": answer.headers["etag"]}
        _report(f"newest 100 runs, {len(answer.content) / 1024:.0f} KiB", lambda: client.get(RUNS))
        _report("newest 100 runs, unchanged", lambda: client.get(RUNS, headers=etag))
        _report("oldest 100 runs", lambda: client.get(RUNS, params={"offset": LONG_HISTORY - 100}))


def _measure_browser(server: PageServer) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("  browser: needs Chromium (apt-get install chromium)")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": "_token", "value": server.token(ADMIN), "url": server.url}])
        page = context.new_page()

        def show() -> None:
            page.goto(f"{server.page}?dag_id=history")
            page.locator("tbody tr").nth(99).wait_for()

        _report("browser, charts and 100 rows", show)
        browser.close()


def _report(what: str, call: Callable[[], object]) -> None:
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    first, rest = seconds[0], seconds[1:]
    print(f"  {what}: first {first:.2f} s, then {statistics.median(rest):.2f} s (median of {len(rest)})")
