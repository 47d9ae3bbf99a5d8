"""The crash matrix as a Markdown document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from tests.e2e.crash.matrix import POINTS, SHAPES, Result

_HEAD = """# Crash matrix

What happens when a process is killed with SIGKILL while a pipeline execution is started or waited for.
`make crash-matrix` runs every cell through a real Airflow and the local runtime, and writes this page.
Right means: one execution, the DAG run ends with its outcome, and no execution is left running.
The worker is the task's own process, the supervisor the one above it.
A lost answer is a fault of the local runtime: the call takes effect and the connection is dropped.
A cell without a result has no meaning there: the provider's sensor for pipelines cannot be deferred.
"""


def document(columns: Mapping[str, Sequence[Result]]) -> str:
    """Return the page.

    :param columns: results by whose operators they are of.
    """
    cells = {
        name: {(result.group.name, result.shape): result for result in results}
        for name, results in columns.items()
    }
    keys = list(dict.fromkeys(key for column in cells.values() for key in column))
    lines = [_HEAD, _versions(), "", "| point | killed | task | " + " | ".join(cells) + " |"]
    lines.append("|" + "---|" * (3 + len(cells)))
    for key in keys:
        found = [column.get(key) for column in cells.values()]
        group = next(result for result in found if result is not None).group
        texts = ["" if result is None else str(result) for result in found]
        lines.append(f"| {POINTS[group.point]} | {group.killed} | {SHAPES[key[1]]} | {' | '.join(texts)} |")
    lines += ["", *_totals(columns)]
    return "\n".join(lines) + "\n"


def _totals(columns: Mapping[str, Sequence[Result]]) -> list[str]:
    return [
        f"{name}: {sum(result.is_right for result in results)} of {len(results)} cells are right."
        for name, results in columns.items()
    ]


def _versions() -> str:
    packages = ("apache-airflow", "apache-airflow-providers-amazon")
    names = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Run on {datetime.now(UTC):%Y-%m-%d} with {names}."
