"""Schedules of EventBridge Scheduler, for pipelines that AWS starts without Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagemaker_pipelines.aws.schedules import (
    MAX_EVENT_AGE_SECONDS,
    MAX_RETRY_ATTEMPTS,
    PipelineSchedule,
    point_in_time,
    wrapped,
)
from sagemaker_pipelines.cli.account import client_of
from sagemaker_pipelines.cli.output import (
    FAILED,
    AsJson,
    ConnId,
    Region,
    print_fields,
    print_json,
    print_table,
    reported,
)
from sagemaker_pipelines.definition import Envelope, check_parameters, parameters_of
from sagemaker_pipelines.exceptions import DefinitionError, ScheduleError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.scheduler import EventBridgeScheduler

app = typer.Typer(
    help="Schedules of EventBridge Scheduler: AWS starts the pipeline, without Airflow.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="The schedule's name.")]
Group = Annotated[str, typer.Option(help="The schedule group.")]


@app.command()
def put(
    name: Name,
    role_arn: Annotated[
        str, typer.Option(help="The role with which EventBridge Scheduler starts the pipeline.")
    ],
    definition: Annotated[Path | None, typer.Option(help="A compiled definition that is deployed.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Or the name of a deployed pipeline.")] = None,
    cron: Annotated[str | None, typer.Option(help="AWS's six fields, such as '0 3 * * ? *'.")] = None,
    rate: Annotated[str | None, typer.Option(help="Or a rate, such as '12 hours'.")] = None,
    timezone: Annotated[str, typer.Option(help="The IANA time zone of --cron, --start and --end.")] = "UTC",
    parameter: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    start: Annotated[str | None, typer.Option(help="Do not start before this time, ISO 8601.")] = None,
    end: Annotated[str | None, typer.Option(help="Do not start after this time, ISO 8601.")] = None,
    state: Annotated[str, typer.Option(help="ENABLED or DISABLED.")] = "ENABLED",
    group: Group = "default",
    description: Annotated[str, typer.Option(help="What the schedule is for.")] = "",
    flexible_window: Annotated[
        int | None, typer.Option(help="How many minutes late AWS may start it.")
    ] = None,
    dead_letter_arn: Annotated[str | None, typer.Option(help="The SQS queue for failed starts.")] = None,
    max_event_age: Annotated[
        int, typer.Option(help="For how many seconds to retry.")
    ] = MAX_EVENT_AGE_SECONDS,
    max_retries: Annotated[int, typer.Option(help="How often to retry.")] = MAX_RETRY_ATTEMPTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be written.")] = False,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Create a schedule, or update it if it differs."""
    with reported():
        expression = _expression(cron, rate)
        values = _values(parameter or [])
        pipeline_arn, checked = _pipeline(definition, pipeline, values, conn_id, region)
        schedule = PipelineSchedule(
            name=name,
            pipeline_arn=pipeline_arn,
            role_arn=role_arn,
            expression=expression,
            timezone=timezone,
            parameters=checked,
            group=group,
            description=description,
            state=state.upper(),
            start=point_in_time(start, timezone) if start else None,
            end=point_in_time(end, timezone) if end else None,
            flexible_window=flexible_window,
            dead_letter_arn=dead_letter_arn,
            max_event_age=max_event_age,
            max_retries=max_retries,
        )
        done = _scheduler(conn_id, region).put_schedule(schedule, dry_run=dry_run)
    _print_put(schedule, done, as_json=as_json, dry_run=dry_run)


@app.command()
def show(
    name: Name,
    group: Group = "default",
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Show a schedule; exit with 1 if it does not exist."""
    from sagemaker_pipelines.masking import masked

    with reported():
        schedule = _scheduler(conn_id, region).get_schedule(name, group=group)
    if schedule is None:
        typer.echo(f"Error: The schedule {name!r} does not exist in the group {group!r}.", err=True)
        raise typer.Exit(FAILED)
    (print_json if as_json else print_fields)(masked(schedule.as_dict()))


@app.command(name="list")
def list_schedules(
    prefix: Annotated[str, typer.Option(help="The beginning of the names.")] = "",
    group: Annotated[str | None, typer.Option(help="The schedule group; by default all.")] = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """List the schedules that start pipelines."""
    from sagemaker_pipelines.masking import masked

    with reported():
        found = list(_scheduler(conn_id, region).list_schedules(name_prefix=prefix, group=group))
    if as_json:
        print_json(masked([schedule.as_dict() for schedule in found]))
        return
    rows = [
        (s.name, s.group, s.state, s.expression, s.timezone, s.pipeline_arn.rpartition("/")[2]) for s in found
    ]
    print_table(("name", "group", "state", "expression", "time zone", "pipeline"), rows)


@app.command()
def remove(
    name: Name,
    group: Group = "default",
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Remove a schedule; it is not an error if it does not exist."""
    with reported():
        was_there = _scheduler(conn_id, region).delete_schedule(name, group=group)
    if as_json:
        print_json({"name": name, "group": group, "outcome": "removed" if was_there else "absent"})
    else:
        typer.echo(f"Schedule {name} {'removed' if was_there else 'does not exist'}.")


def _scheduler(conn_id: str, region: str | None) -> EventBridgeScheduler:
    # Airflow and boto3 take a second to import, and `--help` needs neither.
    from sagemaker_pipelines.aws.scheduler import EventBridgeScheduler

    return EventBridgeScheduler(client_of(conn_id, region).account.boto3_client("scheduler"))


def _expression(cron: str | None, rate: str | None) -> str:
    if cron and not rate:
        return wrapped("cron", cron)
    if rate and not cron:
        return wrapped("rate", rate)
    given = "both --cron and --rate" if cron else "neither --cron nor --rate"
    raise ScheduleError(f"The command has {given}; expected exactly one of them.")


def _values(pairs: list[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ScheduleError(f"--parameter is {pair!r}; expected NAME=VALUE. Correct it.")
        values[name] = value
    return values


def _pipeline(
    path: Path | None, name: str | None, values: dict[str, str], conn_id: str, region: str | None
) -> tuple[str, dict[str, str]]:
    """Return the pipeline's ARN, and the parameters as Airflow would send them."""
    from sagemaker_pipelines.masking import is_secret

    if (path is None) == (name is None):
        given = "neither --definition nor --pipeline" if path is None else "both --definition and --pipeline"
        raise ScheduleError(f"The command has {given}; expected exactly one of them.")
    client = client_of(conn_id, region)
    envelope = Envelope.load(path) if path else None
    deployed = envelope.pipeline_name(client.settings.name_prefix) if envelope else str(name)
    if envelope:
        # Checked before AWS is called.
        values = check_parameters(envelope.parameters, values, is_secret=is_secret)
    described = client.describe_pipeline(deployed)
    if described is None:
        raise DefinitionError(
            f"The pipeline {deployed!r} does not exist. Upsert it first, because a schedule needs its ARN."
        )
    if not envelope:
        values = check_parameters(
            parameters_of(client.deployed_definition(deployed)), values, is_secret=is_secret
        )
    return described["PipelineArn"], values


def _print_put(schedule: PipelineSchedule, done: Any, *, as_json: bool, dry_run: bool) -> None:
    from sagemaker_pipelines.masking import masked

    if as_json:
        changes = {name: {"from": before, "to": after} for name, (before, after) in done.changes.items()}
        result = {"outcome": done.outcome, "dry_run": dry_run, "changes": changes}
        print_json(masked(result | {"schedule": schedule.as_dict()}))
        return
    would = "would be " if dry_run else ""
    if done.outcome == "unchanged":
        typer.echo(f"Schedule {schedule.name} is unchanged; nothing was written.")
        return
    typer.echo(f"Schedule {schedule.name} {would}{done.outcome}{':' if done.changes else '.'}")
    if done.changes:
        rows = [
            (name, *("" if value is None else value for value in pair))
            for name, pair in masked(done.changes).items()
        ]
        print_table(("", "from", "to"), rows)
