"""The site of docs/: what its build refuses, and what a reader without a network sees of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.documents import DOCS
from tests.waiting import GENEROUS_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT = GENEROUS_SECONDS * 1000
PAGES = ("index.html", "backfills.html", "reference/operators.html", "reference/command.html")

pytestmark = pytest.mark.thorough


def build(source: Path, target: Path, builder: str) -> subprocess.CompletedProcess[str]:
    """Build as the Makefile does."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fresh-env", "--fail-on-warning", "-b", builder]
    environment = os.environ | {"AIRFLOW_HOME": str(target / "airflow")}
    return subprocess.run(
        [*command, str(source), str(target / "site")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_dead_link_and_a_page_that_is_nowhere_in_the_navigation_fail_the_build(tmp_path: Path) -> None:
    docs = shutil.copytree(DOCS, tmp_path / "docs")
    dead = {
        "page": "[x](nowhere.md)",
        "heading": "[x](cli.md#nowhere)",
        "file": "[x](iam/nowhere.json)",
        "picture": "![x](images/nowhere.png)",
    }
    (docs / "extra.md").write_text("# Extra\n\n" + "\n\n".join(dead.values()) + "\n")
    done = build(docs, tmp_path, "dummy")
    assert done.returncode != 0
    assert done.stderr.count("nowhere") >= len(dead), done.stderr
    assert "extra.md: WARNING: document isn't included in any toctree" in done.stderr
    for line in (3, 5, 7, 9):
        assert f"extra.md:{line}: WARNING" in done.stderr, done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_it_is_read_and_searched_without_a_network(tmp_path: Path) -> None:
    done = build(DOCS, tmp_path, "html")
    assert done.returncode == 0, done.stderr
    site = f"file://{tmp_path / 'site'}"
    requested: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT)
        page.on("request", lambda request: requested.append(request.url))
        for name in PAGES:
            page.goto(f"{site}/{name}")
            broken = (
                "Array.from(document.images).filter(image => !image.naturalWidth).map(image => image.src)"
            )
            assert page.evaluate(broken) == []
        page.goto(f"{site}/search.html?q=quota_retry_delay")
        page.get_by_text("Search finished").wait_for()
        found = page.locator("ul.search a").all_inner_texts()
        browser.close()
    assert {"Backfills", "Operators, sensors and triggers"} <= set(found)
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
