"""The commands ``new`` and ``compile``, which pyproject.toml adds to ``sagemaker-pipelines``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from sagemaker_compile.exceptions import PipelineSourceError
from sagemaker_compile.project import write_project
from sagemaker_compile.sources import select_sources
from sagemaker_pipelines.exceptions import SageMakerPipelinesError


def new_command(
    name: Annotated[str, typer.Argument(help="The folder of the pipeline, such as my_pipeline.")],
    folder: Annotated[Path, typer.Option(help="The folder of the project.")] = Path(),
) -> None:
    """Write a small, complete project, or add a pipeline to one; nothing is overwritten."""
    with _reported():
        written, kept = write_project(name, folder)
    for path in written:
        typer.echo(f"wrote {folder / path}")
    for path in kept:
        typer.echo(f"kept {folder / path}, which was there already")
    typer.echo(f"{folder / 'README.md'} says what to do next.")


def compile_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="The pipelines; by default all."),
    ] = None,
    sources: Annotated[
        Path, typer.Option(help="The folder with one folder for each pipeline; it is imported as a package.")
    ] = Path("pipeline_src"),
    out: Annotated[
        Path, typer.Option(help="The folder for the definitions, which holds nothing else.")
    ] = Path("dags/definitions"),
    python: Annotated[
        Path | None,
        typer.Option(
            help="The Python of another environment that has the SDK, such as .venv-v2/bin/python for "
            "version 2; it needs the packages sagemaker and moto."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing. Show a diff and fail if a file is stale.")
    ] = False,
) -> None:
    """Compile pipelines of the SageMaker Python SDK to definitions, without a network or an account."""
    with _reported():
        _compile(names or [], sources, out, python, check=check)


@contextmanager
def _reported() -> Iterator[None]:
    """End the command with a message if the user can mend what is wrong."""
    try:
        yield
    except (PipelineSourceError, SageMakerPipelinesError, OSError) as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(1) from None


def _compile(names: list[str], folder: Path, out: Path, python: Path | None, *, check: bool) -> None:
    # moto takes a second to import, and --help does not need it.
    from sagemaker_compile.compile import compile_pipeline
    from sagemaker_compile.folder import differences, write
    from sagemaker_compile.interpreter import capture_with

    sources = select_sources(folder, names)
    if python is None:
        compiled = [compile_pipeline(source) for source in sources]
    else:
        compiled = [
            compile_pipeline(*pair) for pair in zip(sources, capture_with(python, sources), strict=True)
        ]
    listed = ", ".join(source.name for source in sources)
    if not check:
        changed = write(compiled, out, complete=not names)
        for path in changed:
            typer.echo(f"{'changed' if (out / path).exists() else 'removed'} {out / path}")
        typer.echo(f"Compiled {listed}: {len(changed)} files changed.")
        return
    if diff := differences(compiled, out, complete=not names):
        typer.echo(diff)
        typer.echo(
            f"{out} is stale: compile again (`make compile`, or this command without --check) and commit "
            "the result.",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{out} is current: {listed}.")
