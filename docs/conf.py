"""The site of docs/: ``make docs`` builds it with Sphinx, and ``make check`` refuses what it warns of."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

DOCS = Path(__file__).parent
project = "SageMaker Pipelines for Airflow"
html_title = project
extensions = ["myst_parser", "sphinx_external_toc", "sphinx.ext.autodoc"]

# The pages are Markdown that GitHub shows, too: the navigation is in _toc.yml, and not in the pages.
external_toc_path = "_toc.yml"
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True

# Autodoc imports Airflow, which reports that it reads its configuration.
logging.getLogger("airflow").setLevel(logging.WARNING)

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False


def write_command_reference(_: Sphinx) -> None:
    """Write the page of the shell command as the command describes itself."""
    command = [sys.executable, "-m", "typer", "sagemaker_pipelines.cli", "utils", "docs"]
    command += ["--name", "sagemaker-pipelines", "--title", "All commands and options"]
    page = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # The summaries in the lists of commands are cut; each command has its section below.
    page = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n", "", page)
    # An option in a sentence becomes code like the others; Sphinx would make a dash of --.
    page = re.sub(r"(`[^`]*`)|(--[a-z][a-z-]*)", lambda m: m[1] or f"`{m[2]}`", page)
    (DOCS / "reference" / "command.md").write_text(page, encoding="utf-8")


def drop_return_type(_: Sphinx, domain: str, kind: str, content: nodes.Element) -> None:
    """Remove the None that autodoc finds at ``__init__``: an operator's ``:return:`` is about its result."""
    if kind == "class":
        for field in [each for each in content.findall(nodes.field) if each[0].astext() == "rtype"]:
            field.parent.remove(field)


def setup(app: Sphinx) -> None:
    """Add what is generated."""
    app.connect("builder-inited", write_command_reference)
    # After autodoc has written the types.
    app.connect("object-description-transform", drop_return_type, priority=900)
