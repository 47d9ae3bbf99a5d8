"""The crash matrix as a Markdown document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from tests.e2e.crash.matrix import GROUPS, POINTS, SHAPES

_HEAD = """# Crash matrix

This page shows what happens when a process is killed with SIGKILL during the start of an execution or a wait.
`make crash-matrix` runs every cell through a real Airflow and the local runtime, and writes this page.
A cell is "right" if there is one execution, the DAG run ends with its outcome, and nothing is left running.
The worker is the task's own process; the supervisor is its parent process.
Where the answer is lost, the local runtime lets the call take effect and then drops the connection.
An empty cell means that the case does not exist: the provider's sensor for pipelines cannot be deferred.
"""


Column = Mapping[str, str]
RIGHT = "right"


def document(columns: Mapping[str, Column]) -> str:
    """Return the page.

    :param columns: by whose operators they are: how each cell came out, by ``"point-killed dag task"``.
    """
    lines = [_HEAD, _versions(), "", "| point | killed | task | " + " | ".join(columns) + " |"]
    lines.append("|" + "---|" * (3 + len(columns)))
    for group in GROUPS:
        for shape in group.shapes:
            key = f"{group.name} {' '.join(shape)}"
            texts = " | ".join(column.get(key, "") for column in columns.values())
            lines.append(f"| {POINTS[group.point]} | {group.killed} | {SHAPES[shape]} | {texts} |")
    lines += ["", *map(_total, columns, columns.values())]
    return "\n".join(lines) + "\n"


def _total(name: str, column: Column) -> str:
    return f"{name}: {sum(text == RIGHT for text in column.values())} of {len(column)} cells are right."


def _versions() -> str:
    packages = ("apache-airflow", "apache-airflow-providers-amazon")
    names = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Run on {datetime.now(UTC):%Y-%m-%d} with {names}."
