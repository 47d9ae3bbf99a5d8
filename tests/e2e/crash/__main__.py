"""``make crash-matrix``: run the whole matrix, print it, and write it to docs/crash_matrix.md."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.e2e.crash.harness import Harness
from tests.e2e.crash.matrix import GROUPS, run_group
from tests.e2e.crash.table import RIGHT, Column, document

#: Where the last results of each kind of operators are kept, so that the page has all columns.
RESULTS = Path(".state/crash-matrix")


def main(
    operators: Annotated[list[str], typer.Option(help="ours, provider; may be repeated.")] = ["ours"],  # noqa: B006 - typer copies it
    only: Annotated[list[str], typer.Option(help="Groups to run, such as accepted-worker.")] = [],  # noqa: B006 - typer copies it
    write: Annotated[Path | None, typer.Option(help="Where to write the table.")] = None,
) -> None:
    """Run the crash matrix against ours, the provider's operators, or both."""
    for name in operators:
        column = _column(name, only)
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(column))
    if write is not None:
        paths = sorted(RESULTS.glob("*.json"))
        write.write_text(document({path.stem: json.loads(path.read_text()) for path in paths}))
    ours = json.loads((RESULTS / "ours.json").read_text()) if "ours" in operators else {}
    raise typer.Exit(any(text != RIGHT for text in ours.values()))


def _column(operators: str, only: list[str]) -> Column:
    column = {}
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as folder:
        harness = Harness(Path(folder), operators).up()
        try:
            for group in GROUPS:
                if only and group.name not in only:
                    continue
                for result in run_group(harness, group):
                    key = f"{group.name} {' '.join(result.shape)}"
                    print(f"{operators:<9} {key:<50} {result}", flush=True)
                    column[key] = str(result)
        finally:
            harness.close()
    return column


if __name__ == "__main__":
    typer.run(main)
