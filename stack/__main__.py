"""The commands behind `make run`, `make demo`, `make demo-champion`, `make up` and `make down`."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from sagemaker_pipelines.cli.advice import with_advice
from sagemaker_pipelines.exceptions import SageMakerPipelinesError
from stack.exceptions import StackError
from stack.lifecycle import Stack
from stack.settings import StackSettings

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__.splitlines()[0]
)
Threshold = Annotated[float, typer.Option(help="The gate's MseThreshold.")]


@app.command()
def up() -> None:
    """Start Airflow and the local runtime, and keep them running."""
    console = Console()
    settings = StackSettings.from_environment()
    stack = Stack.of(settings, report=lambda line: console.print(line, highlight=False))
    if stack.is_up():
        console.print("The stack is already up.")
    stack.up()
    console.print(f"Airflow's UI:  {stack.settings.airflow_url}", highlight=False)
    console.print(f"AWS endpoint:  {stack.settings.runtime_url}", highlight=False)
    console.print('For a shell:   eval "$(.venv/bin/python -m stack env)"', markup=False, highlight=False)
    console.print("`make demo` uses this stack, `make down` stops it.", highlight=False)


@app.command()
def down() -> None:
    """Stop what `up` started."""
    stopped = Stack.of(StackSettings.from_environment()).down()
    Console().print(f"Stopped: {', '.join(stopped)}" if stopped else "The stack was not running.")


@app.command()
def env() -> None:
    """Print the variables that point the commands of a shell at the stack that `up` started."""
    from stack.airflow_env import shell_environment

    stack = Stack.of(StackSettings.from_environment())
    if not stack.is_up():
        raise StackError(f"No stack is running in {stack.settings.state_dir}. Start it with `make up`.")
    for name, value in sorted(shell_environment(stack.settings).items()):
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def demo(mse_threshold: Threshold = 6.0) -> None:
    """Train, branch on the metric and score, through a real Airflow."""
    from stack.demo import demo as run_demo

    run_demo(StackSettings.from_environment(), Console(), threshold=mse_threshold)


@app.command()
def demo_champion() -> None:
    """Train three generations of a model, compare each with the champion, and decide, through Airflow."""
    from stack.demo_champion import demo_champion as run_demo

    run_demo(StackSettings.from_environment(), Console())


@app.command()
def run(
    mse_threshold: Threshold = 6.0,
    input_data: Annotated[str | None, typer.Option(help="The S3 URI of the labelled rows.")] = None,
) -> None:
    """Execute the abalone definition on the local runtime, without Airflow."""
    from stack.run import run as run_definition

    parameters = {"MseThreshold": mse_threshold, "ModelApprovalStatus": "Approved", "InputData": input_data}
    run_definition(StackSettings.from_environment(), Console(), parameters=parameters)


def main(command: Callable[[], object]) -> int:
    """Run a command, and print the errors of this project without a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As after Ctrl-C, a command that started the stack for itself stops it before it exits.
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        command()
    except (StackError, SageMakerPipelinesError, BotoCoreError, ClientError) as error:
        text = with_advice(error)
        Console(stderr=True).print(f"[red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(app))
