"""The crash matrix as a Markdown document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from tests.e2e.crash.matrix import GROUPS, POINTS, SHAPES

_HEAD = """# Crash matrix

What happens when a process is killed with SIGKILL while a pipeline execution is started or waited for.
`make crash-matrix` runs every cell through a real Airflow and the local runtime, and writes this page.
Right means: one execution, the DAG run ends with its outcome, and no execution is left running.
The worker is the task's own process, the supervisor the one above it.
A lost answer is a fault of the local runtime: the call takes effect and the connection is dropped.
A cell without a result has no meaning there: the provider's sensor for pipelines cannot be deferred.
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
