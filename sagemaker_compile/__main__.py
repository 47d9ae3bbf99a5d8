"""``python -m sagemaker_compile``: compile pipelines and look at them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from sagemaker_compile.exceptions import PipelineSourceError
from sagemaker_compile.sources import select_sources
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import SageMakerPipelinesError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console()
errors = Console(stderr=True)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Pipelines; all when left out.")]


@app.command("compile")
def compile_command(
    names: Names = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; show a diff and fail when a file is stale.")
    ] = False,
) -> None:
    """Compile pipelines into dags/definitions, without a network."""
    # The SDK takes seconds to import, and --help should not.
    from sagemaker_compile.compile import compile_pipeline, differences, write

    sources = select_sources(names or [])
    compiled = [compile_pipeline(source) for source in sources]
    listed = ", ".join(source.name for source in sources)
    if not check:
        changed = write(compiled, complete=not names)
        for path in changed:
            console.print(f"changed dags/definitions/{path}", highlight=False, soft_wrap=True)
        console.print(f"Compiled {listed}: {len(changed)} files changed.", highlight=False)
        return
    diff = differences(compiled, complete=not names)
    if diff:
        console.print(diff, markup=False, highlight=False, soft_wrap=True)
        errors.print("dags/definitions is stale: run `make compile` and commit the result.", highlight=False)
        raise typer.Exit(1)
    console.print(f"dags/definitions is current: {listed}.", highlight=False)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A pipeline.")]) -> None:
    """Print a compiled definition's parameters, steps and graph."""
    from sagemaker_compile.compile import DEFINITIONS
    from sagemaker_compile.show import show as show_envelope

    source = select_sources([name])[0]
    show_envelope(Envelope.load(DEFINITIONS / f"{source.name}.json"), console)


def main() -> None:
    """Run the command line; errors of ours are one line, not a traceback."""
    try:
        app(prog_name="python -m sagemaker_compile")
    except (PipelineSourceError, SageMakerPipelinesError) as error:
        errors.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
