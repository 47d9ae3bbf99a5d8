"""Projects of users, whose pipelines the tests write."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sagemaker_compile.sources import Source, select_sources

Project = Callable[[str], Source]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Write ``projects_pipelines/demo/pipeline.py`` and return its sources."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text: str) -> Source:
        folder = tmp_path / "projects_pipelines" / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        for package in (folder.parent, folder):
            (package / "__init__.py").touch()
        (folder / "pipeline.py").write_text(text)
        [source] = select_sources(folder.parent, [])
        return source

    return write
