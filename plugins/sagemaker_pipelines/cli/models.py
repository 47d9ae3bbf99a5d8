"""Registered models: ``models``, ``approve``, ``reject``, ``compare``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sagemaker_pipelines.cli.account import client_of, person
from sagemaker_pipelines.cli.output import (
    FAILED,
    AirflowUrl,
    AsJson,
    ConnId,
    Password,
    Region,
    Token,
    Username,
    print_fields,
    print_json,
    print_table,
    reported,
)
from sagemaker_pipelines.exceptions import AirflowRequestError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.client import SageMakerClient
    from sagemaker_pipelines.cli.questions import OpenQuestion


def _short(reason: str) -> str:
    from sagemaker_pipelines.aws.decisions import MAX_REASON

    if len(reason) > MAX_REASON:
        raise typer.BadParameter(
            f"it has {len(reason)} characters, expected at most {MAX_REASON}. Shorten it; link to the rest."
        )
    return reason


app = typer.Typer()
Package = Annotated[str, typer.Argument(help="The model package's ARN.")]
Reason = Annotated[str, typer.Option(help="Why; it is part of the record.", callback=_short)]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a decision that was made before.")]


@app.command()
def models(
    group: Annotated[str | None, typer.Argument(help="A model package group: list its packages.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to list, newest first.")] = 20,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """List the environment's model package groups with their champions, or the packages of one."""
    with reported():
        client = client_of(conn_id, region)
        found = list(islice(_groups(client) if group is None else _packages(client, group), limit))
    if as_json:
        print_json(found)
        return
    names = ("group", "champion") if group is None else ("version", "status", "champion", "created", "why")
    print_table(names, [[item[name] for name in names] for item in found])


@app.command()
def approve(
    package: Package,
    reason: Reason = "",
    replace: Replace = False,
    airflow_url: AirflowUrl = "",
    token: Token = None,
    username: Username = None,
    password: Password = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Approve a model package; the registry and an object in S3 say who, when and why.

    If Airflow asks about the package, its run goes on, and the record has the numbers of its question.
    """
    login = {"token": token, "username": username, "password": password}
    _decide(package, True, reason, replace, airflow_url, login, as_json, conn_id, region)


@app.command()
def reject(
    package: Package,
    reason: Reason = "",
    replace: Replace = False,
    airflow_url: AirflowUrl = "",
    token: Token = None,
    username: Username = None,
    password: Password = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Reject a model package; with --replace also the champion, so that the one before it takes over.

    If Airflow asks about the package, its run goes on, and the record has the numbers of its question.
    """
    login = {"token": token, "username": username, "password": password}
    _decide(package, False, reason, replace, airflow_url, login, as_json, conn_id, region)


@app.command()
def compare(
    first: Package,
    second: Package,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Show two model packages next to each other, and their comparison on the same rows, if recorded."""
    from sagemaker_pipelines.aws.evidence import Evidence
    from sagemaker_pipelines.aws.registered import described_model, recorded_comparison

    with reported():
        client = client_of(conn_id, region)
        described = [described_model(client, arn) for arn in (first, second)]
        compared = recorded_comparison(client, first, second)
    if as_json:
        print_json({"models": described, "comparison": compared and compared.as_document()})
        return
    names = list(dict.fromkeys([*described[0], *described[1]]))
    rows = [(name, *(each.get(name) for each in described)) for name in names]
    print_table(("", "first", "second"), rows)
    if compared is None:
        typer.echo(
            "No decision compared them on the same rows: each metric was measured on its own data.", err=True
        )
        return
    evidence = Evidence(model_package_arn=compared.challenger.arn, comparison=compared)
    for note in evidence.notes():
        typer.echo(note)


def _question(url: str, login: Mapping[str, str | None], package: str) -> OpenQuestion | None:
    """Return what Airflow asks about a package; None if it asks nothing, or if no address is given."""
    if not url:
        return None
    from sagemaker_pipelines.airflow_client import AirflowClient
    from sagemaker_pipelines.cli.questions import open_question

    try:
        return open_question(AirflowClient(url, **login), package)
    except AirflowRequestError as error:
        raise AirflowRequestError(
            f"{error} Nothing was written. To decide without Airflow, pass --airflow-url '', and then clear "
            "the task that asks, if there is one.",
            error.status,
        ) from error


def _decide(
    package: str,
    approved: bool,
    reason: str,
    replace: bool,
    airflow_url: str,
    login: Mapping[str, str | None],
    as_json: bool,
    conn_id: str,
    region: str | None,
) -> None:
    from sagemaker_pipelines.aws.champion import read_model_package
    from sagemaker_pipelines.aws.decisions import Decision, record_decision
    from sagemaker_pipelines.aws.evidence import Evidence
    from sagemaker_pipelines.aws.model_packages import newest_approved_model_package

    with reported():
        question = _question(airflow_url, login, package)
        client = client_of(conn_id, region)
        group = read_model_package(client, package).group
        champion = newest_approved_model_package(client, group)
        decision = Decision(
            approved=approved,
            decided_by=person(),
            reason=reason,
            evidence=question.evidence
            if question
            else Evidence(model_package_arn=package, champion_arn=champion),
            dag_id=question.dag_id if question else None,
            run_id=question.run_id if question else None,
        )
        written = record_decision(client, decision, replace=replace)
        now = read_model_package(client, package)
        champion = newest_approved_model_package(client, group)
    answer = {
        "model_package_arn": now.arn,
        "status": now.status,
        "description": now.description,
        "written": written,
        "champion": champion,
        "run": question and f"{question.dag_id} {question.run_id}",
    }
    print_json(answer) if as_json else print_fields(answer)
    if question is not None:
        _resume(question, approved, reason)


def _resume(question: OpenQuestion, approved: bool, reason: str) -> None:
    """Let the run that asks go on, now that the registry has the decision."""
    from sagemaker_pipelines.operators.approval import SageMakerApproveModelPackageOperator as Approval

    try:
        question.answer(Approval.APPROVE if approved else Approval.REJECT, reason)
    except AirflowRequestError as error:
        typer.echo(
            f"Error: The decision is recorded, but the run {question.run_id} of {question.dag_id} still "
            f"waits: {error} Repeat the command, or clear the task {question.task['task_id']}.",
            err=True,
        )
        raise typer.Exit(FAILED) from error


def _groups(client: SageMakerClient) -> Any:
    from sagemaker_pipelines.aws.model_packages import newest_approved_model_package

    prefix = client.settings.name_prefix
    filters = {"NameContains": prefix} if prefix else {}
    for item in client.pages(
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        SortBy="CreationTime",
        SortOrder="Descending",
        **filters,
    ):
        if (name := item["ModelPackageGroupName"]).startswith(prefix):
            yield {"group": name, "champion": newest_approved_model_package(client, name)}


def _packages(client: SageMakerClient, group: str) -> Any:
    from sagemaker_pipelines.aws.champion import read_model_package
    from sagemaker_pipelines.aws.model_packages import newest_approved_model_package

    champion = newest_approved_model_package(client, group)
    for item in client.pages(
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=group,
        SortBy="CreationTime",
        SortOrder="Descending",
    ):
        package = read_model_package(client, item["ModelPackageArn"])
        yield {
            "version": package.version,
            "status": package.status,
            "champion": "champion" if package.arn == champion else "",
            "created": item["CreationTime"],
            "why": package.description,
            "model_package_arn": package.arn,
        }
