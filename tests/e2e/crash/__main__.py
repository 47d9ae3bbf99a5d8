"""``make crash-matrix``: run the whole matrix, print it, and write it to docs/crash_matrix.md."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.e2e.crash.harness import Harness
from tests.e2e.crash.matrix import GROUPS, Result, run_group
from tests.e2e.crash.table import document

Cells = dict[tuple[str, tuple[str, str]], Result]


def main(
    operators: Annotated[list[str], typer.Option(help="ours, provider; may be repeated.")] = ["ours"],  # noqa: B006 - typer copies it
    only: Annotated[list[str], typer.Option(help="Groups to run, such as accepted-worker.")] = [],  # noqa: B006 - typer copies it
    write: Annotated[Path | None, typer.Option(help="Where to write the table.")] = None,
) -> None:
    """Run the crash matrix against ours, the provider's operators, or both."""
    columns = {name: _column(name, only) for name in operators}
    if write is not None:
        write.write_text(document(columns))
    wrong = [result for result in columns.get("ours", []) if not result.is_right]
    raise typer.Exit(1 if wrong else 0)


def _column(operators: str, only: list[str]) -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as folder:
        harness = Harness(Path(folder), operators).up()
        try:
            for group in GROUPS:
                if only and group.name not in only:
                    continue
                for result in run_group(harness, group):
                    print(
                        f"{operators:<9} {group.name:<22} {' '.join(result.shape):<28} {result}", flush=True
                    )
                    results.append(result)
        finally:
            harness.close()
    return results


if __name__ == "__main__":
    typer.run(main)
