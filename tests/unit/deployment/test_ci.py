""".ci/install-packages where it can install nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from stack.settings import ROOT
from tests.waiting import GENEROUS_SECONDS


def test_without_root_nothing_is_installed_and_what_is_missing_is_named(tmp_path: Path) -> None:
    """Its system: one package is installed, another was once, the third never; the user is not root."""
    states = "case $3 in postgresql) echo installed;; redis-server) echo config-files;; *) exit 1;; esac"
    for name, script in {"dpkg-query": states, "id": "echo 1000", "apt-get": "touch $0.called"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "install-packages"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "not installed: redis-server chromium.\n" in done.stdout
    assert not (tmp_path / "apt-get.called").exists()
