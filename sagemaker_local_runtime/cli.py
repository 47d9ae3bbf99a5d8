"""The command line of the local runtime: ``sagemaker-pipelines local``, or ``python -m`` with this package.

Every ``sagemaker-pipelines`` command imports this module, so it imports boto3 and moto in functions only.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sagemaker_local_runtime.cli_background import DATA_DIR, DataDir, down, env, region_of, up
from sagemaker_local_runtime.cli_images import CacheDir, Images, images_app, images_file
from sagemaker_local_runtime.cli_options import Stubs, pairs, stubs_of
from sagemaker_local_runtime.exceptions import LocalRuntimeError, SettingsError
from sagemaker_local_runtime.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from sagemaker_local_runtime.target import Target
    from sagemaker_pipelines.aws.client import SageMakerClient


class _Commands(TyperGroup):
    """The commands; an error that the user can fix is printed in one line, and the exit code is 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except _fixable_errors() as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from None


def _fixable_errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    from sagemaker_pipelines.exceptions import SageMakerPipelinesError

    return (LocalRuntimeError, SageMakerPipelinesError, ClientError, BotoCoreError, OSError)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Serve AWS's API on this machine and really execute pipelines, or run one definition.",
)

app.add_typer(images_app, name="images")
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(up)
app.command()(down)
app.command()(env)


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 means any free port.")] = 4566,
    data_dir: DataDir = DATA_DIR,
    region: Annotated[str, typer.Option(help="The region of every ARN.")] = "us-east-1",
    account_id: Annotated[str, typer.Option(help="The account ID of every ARN.")] = "123456789012",
    max_concurrent_executions: Annotated[int, typer.Option(help="The quota of concurrent executions.")] = 20,
    max_concurrent_jobs: Annotated[int | None, typer.Option(help="Default two per core.")] = None,
    job_memory_mb: Annotated[int | None, typer.Option(help="Memory limit of each job, in MiB.")] = None,
    job_max_runtime_seconds: Annotated[int, typer.Option(help="Limit of every job, seconds.")] = 86_400,
    isolation: Annotated[
        str | None, typer.Option(help="How jobs see /opt/ml: namespace or rewrite; chosen by default.")
    ] = None,
    allow_argument: Annotated[
        list[str] | None,
        typer.Option(help="A step argument to accept unchecked, such as Training.NewMember."),
    ] = None,
    images: Images = None,
    cache_dir: CacheDir = None,
    packages: Annotated[
        bool, typer.Option(help="Whether jobs may install packages, each for itself.")
    ] = True,
    stub: Stubs = None,
    log_level: Annotated[str, typer.Option(help="DEBUG shows every request.")] = "INFO",
) -> None:
    """Serve AWS's API on loopback until SIGTERM or SIGINT."""
    if context.invoked_subcommand is not None:
        return
    _configure_logging(log_level)
    settings = Settings(
        data_dir=data_dir.resolve(),
        host=host,
        port=port,
        region=region,
        account_id=account_id,
        max_concurrent_executions=max_concurrent_executions,
        max_concurrent_jobs=max_concurrent_jobs,
        job_memory_mb=job_memory_mb,
        job_max_runtime_seconds=job_max_runtime_seconds,
        isolation=isolation,
        allowed_arguments=tuple(allow_argument or ()),
        images=images_file(images),
        cache_dir=cache_dir and cache_dir.resolve(),
        packages=packages,
        stubs=stubs_of(stub),
    )
    serve_until_signal(settings)


def serve_until_signal(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT, then shut down cleanly.

    :raises SettingsError: the port or the data directory cannot be used.
    """
    from sagemaker_local_runtime.server import LocalServer

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with LocalServer(settings) as server:
        # Scripts that start the local runtime on a free port read this line.
        print(f"Local runtime at {server.endpoint_url} with {settings.data_dir}", flush=True)
        print(f"Jobs: {server.runtime.jobs.sandbox.description}", flush=True)
        ended.wait()


@app.command()
def run(
    definition: Annotated[Path, typer.Argument(help="From the SDK, from DescribePipeline, or compiled.")],
    param: Annotated[list[str] | None, typer.Option(help="The value of a parameter, as NAME=VALUE.")] = None,
    upload: Annotated[
        list[str] | None,
        typer.Option(help="A file to upload first, as FILE=KEY in the artifact bucket or FILE=s3://..."),
    ] = None,
    region: Annotated[str, typer.Option(help="The region to execute it in.")] = "us-east-1",
    data_dir: DataDir = Path(".state/run"),
    images: Images = None,
    stub: Stubs = None,
    endpoint_url: Annotated[
        str | None, typer.Option(help="A running local runtime; by default one is started for this run.")
    ] = None,
) -> None:
    """Execute a definition, show its steps as they run, and exit with 1 unless the execution succeeds.

    The buckets that the definition names are created if they do not exist.
    """
    from rich.console import Console

    from sagemaker_local_runtime.target import create_bucket
    from sagemaker_pipelines.aws.upsert import upsert_pipeline
    from sagemaker_pipelines.aws.view import Progress
    from sagemaker_pipelines.aws.watch import ExecutionWatch
    from sagemaker_pipelines.definition import Envelope
    from sagemaker_pipelines.definition.resources import buckets_of
    from sagemaker_pipelines.states import Phase, execution_phase

    _configure_logging("WARNING")
    console = Console()
    if endpoint_url:
        _check_running(endpoint_url, {"--images": images, "--stub": stub})
    parameters, files = pairs(param, "--param NAME=VALUE"), pairs(upload, "--upload FILE=KEY")
    if missing := [file for file, _ in files if not Path(file).is_file()]:
        raise SettingsError(f"--upload names {missing[0]!r}, which is not a file; write --upload FILE=KEY.")
    envelope = Envelope.load(definition)
    settings = Settings(
        data_dir=data_dir.resolve(),
        port=0,
        region=region,
        allowed_arguments=envelope.allowed_arguments,
        images=images_file(images),
        stubs=stubs_of(stub),
    )
    with _target(settings, endpoint_url) as target:
        uploads = [(file, *_object(target, key)) for file, key in files]
        named = buckets_of(envelope.definition) | {bucket for _, bucket, _ in uploads}
        for bucket in sorted({target.bucket, *named}):
            create_bucket(target.sagemaker.s3, bucket, target.region)
        for file, bucket, key in uploads:
            target.sagemaker.s3.upload_file(file, bucket, key)
        upsert_pipeline(target.sagemaker, envelope)
        arn = target.start(envelope, dict(parameters))
        console.print(arn, highlight=False, soft_wrap=True)
        progress = Progress(console)
        watch = ExecutionWatch(
            target.sagemaker,
            arn,
            waiter_delay=0.1,
            log=target.log,
            on_steps=lambda steps: progress.steps(envelope.name, steps),
        )
        status = watch.follow()
        _print_summary(console, target.sagemaker, arn, status)
    raise typer.Exit(0 if execution_phase(status) is Phase.SUCCEEDED else 1)


@app.command()
def support(
    update: Annotated[Path | None, typer.Option(help="Replace the tables in this document.")] = None,
) -> None:
    """Print which step types, functions, conditions and actions are supported, partial or refused."""
    from sagemaker_local_runtime import support as registry

    if update is None:
        print(registry.tables(), end="")
    else:
        print(f"{update}: {'updated' if registry.update(update) else 'already up to date'}")


def _check_running(endpoint_url: str, options: Mapping[str, object]) -> None:
    """Refuse an address where no local runtime answers, and options of one that is not started here."""
    region_of(endpoint_url)
    given = [name for name, value in options.items() if value]
    if given:
        raise SettingsError(
            f"{' and '.join(given)} would have no effect: the local runtime at {endpoint_url} runs already. "
            "Start that one with it, or leave --endpoint-url out."
        )


@contextmanager
def _target(settings: Settings, endpoint_url: str | None) -> Iterator[Target]:
    from sagemaker_local_runtime.target import Target

    if endpoint_url:
        yield Target.of(endpoint_url, settings)
        return
    from sagemaker_local_runtime.server import LocalServer

    with LocalServer(settings) as server:
        yield Target.of(server.endpoint_url, settings)


def _object(target: Target, key: str) -> tuple[str, str]:
    """Return the bucket and key of an upload, whose key may be a whole S3 URI."""
    from sagemaker_pipelines.aws.objects import split_s3_uri

    bucket, name = split_s3_uri(target.uri(key))
    if not name:
        raise SettingsError(f"--upload names {key!r}, which has no key; write --upload FILE=s3://bucket/key.")
    return bucket, name


def _print_summary(console: Console, client: SageMakerClient, arn: str, status: str) -> None:
    from rich.markup import escape

    from sagemaker_pipelines.aws.outcome import execution_outcome
    from sagemaker_pipelines.aws.view import gate_lines, show, steps_lines, title
    from sagemaker_pipelines.exceptions import ExecutionError

    lines = ["", *steps_lines(title(arn, status), client.list_steps(arn)), *gate_lines(client, arn)]
    try:
        execution_outcome(client, arn)
    except ExecutionError as error:
        lines.append(escape(str(error)))
    show(console, lines)


def main() -> None:
    """Run the command line."""
    app(prog_name="python -m sagemaker_local_runtime")


def _configure_logging(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("botocore", "urllib3", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
