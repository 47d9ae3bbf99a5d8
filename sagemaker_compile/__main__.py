"""``python -m sagemaker_compile`` does the same as ``sagemaker-pipelines compile``."""

from __future__ import annotations

import typer

from sagemaker_compile.cli import compile_command


def main() -> None:
    """Run the command line."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(compile_command)
    app(prog_name="python -m sagemaker_compile")


if __name__ == "__main__":
    main()
