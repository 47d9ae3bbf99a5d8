"""``doctor``: check an AWS account, and say what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagemaker_pipelines.cli.account import client_of
from sagemaker_pipelines.cli.output import FAILED, AsJson, ConnId, Region, print_json, reported
from sagemaker_pipelines.cli.policy import AIRFLOW_POLICY
from sagemaker_pipelines.definition import Envelope, parameters_of
from sagemaker_pipelines.definition.resources import code_uris, images_of
from sagemaker_pipelines.exceptions import SettingsError

if TYPE_CHECKING:
    from sagemaker_pipelines.cli.checks import Account, Finding

app = typer.Typer()
_COLOURS = {"ok": "green", "missing": "red", "unknown": "yellow"}
_EXAMPLE = (
    '{"service_config": {"sagemaker": {"artifact_bucket": "...", "role_arn": "arn:aws:iam::...:role/..."}}}'
)


@app.command()
def doctor(
    definitions: Annotated[
        Path, typer.Option(help="The folder of the definitions, whose data, code and images are checked.")
    ] = Path("dags/definitions"),
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Check an AWS account with read-only calls; exit with 1 if something is missing."""
    from sagemaker_pipelines.cli.checks import Doctor

    with reported():
        account, client = account_of(conn_id, region, definitions)
        findings = list(Doctor(client, account).examine())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_findings(findings)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(FAILED)


def print_findings(findings: Iterable[Finding], *, err: bool = False) -> None:
    """Print the results of the checks, each problem with its cure.

    :param findings: the results.
    :param err: whether to print to standard error.
    """
    for finding in findings:
        state = typer.style(f"{finding.state:<8}", fg=_COLOURS[finding.state])
        typer.echo(f"{state} {finding.name:<12} {finding.text}", err=err)
        if finding.cure:
            typer.echo(f"{'':<22}{finding.cure}", err=err)


def account_of(
    conn_id: str, region: str | None, definitions: Path, *, policies: tuple[Path, ...] = (AIRFLOW_POLICY,)
) -> tuple[Account, Callable[[str], Any]]:
    """Return what the account should have, and a function that returns the client of a service.

    :param conn_id: the Airflow connection; without Airflow, boto3 finds the credentials.
    :param region: the region; None uses the connection's.
    :param definitions: the folder of the definitions.
    :param policies: the policies whose actions the caller needs.
    :raises SettingsError: the bucket or the role is not set, or a setting is malformed.
    """
    from sagemaker_pipelines.cli.checks import Account

    client = client_of(conn_id, region)
    settings = client.settings
    if not settings.artifact_bucket or not settings.role_arn:
        name = "role_arn" if settings.artifact_bucket else "artifact_bucket"
        raise SettingsError(
            f"{name} is not set. Set it in the extra of the connection {conn_id!r}: {_EXAMPLE}, or "
            "in the settings file (--settings, AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE)."
        )
    account = Account(
        bucket=settings.artifact_bucket,
        role_arn=settings.role_arn,
        name_prefix=settings.name_prefix,
        **named_in(definitions, settings.placeholder_values, region=client.region),
        topic_arn=settings.notification_target,
        policies=policies,
    )
    return account, cache(client.account.boto3_client)


def named_in(definitions: Path, values: Mapping[str, str], *, region: str) -> dict[str, tuple[str, ...]]:
    """Return what the definitions name in AWS, as arguments of an account.

    The data are the defaults of the parameters named ``...Data``. Code and images count only where they are
    not filled in by the upsert.

    :param definitions: the folder of the definitions.
    :param values: the values of the placeholders.
    :param region: the region of the images.
    """
    from sagemaker_pipelines.aws.deployable import with_account

    envelopes = [Envelope.load(path) for path in sorted(definitions.glob("*.json"))]
    filled = [(e, with_account(e, values)) for e in envelopes]
    functions = [f for e, known in filled for f in e.fill_functions(known, region=region)]
    parameters = [p for e, known in filled for p in parameters_of(e.fill(known, region=region))]
    data = [str(p.default) for p in parameters if p.name.endswith("Data")]
    return {
        "data_uris": tuple(dict.fromkeys(uri for uri in data if uri.startswith("s3://"))),
        "code_uris": tuple(dict.fromkeys(uri for e in envelopes for uri in code_uris(e.definition))),
        "function_role_arns": tuple(dict.fromkeys(str(f.settings["Role"]) for f in functions)),
        "image_uris": tuple(dict.fromkeys(uri for e in envelopes for uri in images_of(e.definition))),
    }
