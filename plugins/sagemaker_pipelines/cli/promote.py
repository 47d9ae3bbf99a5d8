"""The command ``promote``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sagemaker_pipelines.cli.account import client_of, person
from sagemaker_pipelines.cli.output import (
    AsJson,
    ConnId,
    Region,
    print_fields,
    print_json,
    print_table,
    reported,
)
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.states import PENDING

app = typer.Typer()


@app.command()
def promote(
    definition: Annotated[Path, typer.Argument(help="Path of the definition.", exists=True)],
    to: Annotated[str, typer.Option("--to", help="The Airflow connection of the environment that gets it.")],
    model_package: Annotated[
        str | None,
        typer.Option(help="The model package's ARN; by default that of the newest succeeded execution."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The pipeline's name, if it was deployed under another one.")
    ] = None,
    status: Annotated[
        str,
        typer.Option(
            help="The state that the package gets: PendingManualApproval, or Approved if the original is."
        ),
    ] = PENDING,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what it would do.")] = False,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Deploy a definition in another environment, and register the model package there that it produced."""
    from sagemaker_pipelines.aws.promotion import Promotion

    with reported():
        promotion = Promotion(
            client_of(conn_id, region),
            client_of(to, None),
            Envelope.load(definition),
            pipeline_name=name,
            model_package_arn=model_package,
            approval_status=status,
            decided_by=person(),
        )
        result = promotion.plan().as_dict() if plan else promotion.run()
    if as_json:
        print_json(result)
    elif plan:
        _print_plan(result)
    else:
        print_fields({**result, "copied": len(result["copied"])})


def _print_plan(plan: dict[str, Any]) -> None:
    artifacts = plan.pop("artifacts")
    approves = plan.pop("approves")
    if plan["source_model_package_arn"]:
        parts = ["register"] * (plan["model_package_arn"] is None) + ["approve"] * approves
        plan["model_package"] = " and ".join(parts) or "unchanged"
    print_fields(plan)
    rows = [
        ("unchanged" if item["is_stored"] else "copy", f"{item['size']:,}", item["target_uri"])
        for item in artifacts
    ]
    if rows:
        print_table(("object", "bytes", "in the target"), rows)
