"""What pipelines cost: ``prices update`` and ``estimate``."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import ClientError, EndpointConnectionError

from sagemaker_pipelines.cli.account import client_of
from sagemaker_pipelines.cli.executions import pair
from sagemaker_pipelines.cli.output import AsJson, ConnId, Params, Region, print_json, print_table, reported
from sagemaker_pipelines.cli.targets import envelope_of
from sagemaker_pipelines.definition import Envelope, check_parameters, parameters_of
from sagemaker_pipelines.definition.instances import (
    StepInstances,
    lasting_steps,
    step_instances,
    uncounted_steps,
)
from sagemaker_pipelines.exceptions import ParameterError, SettingsError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.client import SageMakerClient
    from sagemaker_pipelines.aws.prices import Prices

app = typer.Typer()
prices_app = typer.Typer(help="The prices of instances, from AWS's Price List API.", no_args_is_help=True)
app.add_typer(prices_app, name="prices")
_DEFINITIONS = Path("dags/definitions")
# Of so many executions, the last that succeeded are looked at.
_NEWEST = 500


@prices_app.command()
def update(
    definitions: Annotated[
        list[Path] | None,
        typer.Argument(help="Definitions, or folders of them; by default dags/definitions.", exists=True),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file; by default the setting prices_file, else prices.toml.")
    ] = None,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Write the prices of the instances that definitions use, in the connection's region."""
    from sagemaker_pipelines.aws.prices import Prices, list_prices, pricing_region

    with reported():
        wanted = _instances(definitions or [_DEFINITIONS])
        client = client_of(conn_id, region)
        path = out or Path(client.settings.prices_file or "prices.toml")
        before = Prices.load(path)
        pricing = client_of(conn_id, pricing_region(client.region)).account.boto3_client("pricing")
        try:
            listed = list(list_prices(pricing, client.region, {instance for instance, _ in wanted}))
        except (ClientError, EndpointConnectionError) as error:
            raise SettingsError(
                f"AWS's Price List API does not answer at {pricing.meta.endpoint_url}: {error}. Expected "
                "AWS's own endpoint and the permission pricing:GetProducts. Use a connection without "
                "endpoint_url, or set AWS_ENDPOINT_URL_PRICING."
            ) from error
        found = [price for price in listed if (price.instance, price.component) in wanted]
        before.with_list_prices(found).save(path)
    missing = sorted(wanted - {(price.instance, price.component) for price in found})
    if as_json:
        answer = [{**asdict(price), "date": price.date.isoformat()} for price in found]
        print_json({"file": str(path), "prices": answer, "missing": [list(item) for item in missing]})
        return
    columns = ("region", "instance", "component", "per hour", "currency", "date")
    rows = [(p.region, p.instance, p.component, p.price_per_hour, p.currency, p.date) for p in found]
    print_table(columns, rows)
    for instance, component in missing:
        typer.echo(f"Warning: AWS lists no price of {instance} for {component} in {client.region}.", err=True)
    typer.echo(f"{path} has been written.", err=True)


@app.command()
def estimate(
    target: Annotated[str, typer.Argument(help="Path of a definition, or a deployed pipeline.")],
    param: Params = None,
    last: Annotated[int, typer.Option(min=0, help="How many succeeded executions to look at.")] = 10,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Show what an execution may bill: what the last ones did, and the most that their limits allow."""
    from sagemaker_pipelines.aws.prices import Prices
    from sagemaker_pipelines.masking import is_secret

    with reported():
        client = client_of(conn_id, region)
        if (envelope := envelope_of(target)) is not None:
            name, definition = envelope.pipeline_name(client.settings.name_prefix), envelope.definition
        else:
            name, definition = target, client.deployed_definition(target)
        given = dict(map(pair, param or []))
        # A parameter without a default may stay open: what it does not decide is shown.
        declared = [p for p in parameters_of(definition) if p.name in given or p.default is not None]
        values = check_parameters(declared, given, is_secret=is_secret)
        instances = step_instances(definition, values)
        prices = Prices.load(client.settings.prices_file)
        before = _last_bills(client, name, last)
    several = {step for step, count in Counter(found.step for found in instances).items() if count > 1}
    rows = [
        # What a cluster of several types billed cannot be divided among them.
        _estimated(client.region, prices, found, [] if found.step in several else before.get(found.step, []))
        for found in instances
    ]
    total = _summed(rows)
    if as_json:
        looked_at = max(map(len, before.values()), default=0)
        shown = {"pipeline": name, "executions": looked_at, "steps": rows, "total": total}
        print_json({**shown, "uncounted": _uncounted(definition)})
        return
    print_table(_COLUMNS, [[_shown(row[key]) for key in _KEYS] for row in [*rows, total]])
    for step, reason in _uncounted(definition).items():
        typer.echo(f"Not counted: {step}; {reason}.", err=True)


_KEYS = (
    *("step", "instances", "executions", "median_instance_seconds", "p90_instance_seconds"),
    *("max_instance_seconds", "median_cost", "p90_cost", "max_cost", "currency", "price_date"),
)
_COLUMNS = (
    *("step", "instances", "seen", "median", "p90", "at most"),
    *("median cost", "p90 cost", "cost at most", "currency", "prices of"),
)


def _instances(paths: Iterable[Path]) -> set[tuple[str, str]]:
    """Return instance types and components that definitions can use, also by the values of an enum."""
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    wanted = set()
    for file in files:
        definition = Envelope.load(file).definition
        enums = {p.name: p.enum_values or () for p in parameters_of(definition)}
        for found in step_instances(definition):
            names = {found.instance_type, *enums.get(found.parameter or "", ())}
            wanted |= {(name, found.component) for name in names if name}
    if not wanted:
        raise ParameterError(
            f"{', '.join(map(str, files or paths))}: no definition uses an instance. Name the definitions "
            "whose instances you need the prices of."
        )
    return wanted


def _last_bills(client: SageMakerClient, pipeline_name: str, last: int) -> dict[str, list[float]]:
    """Return what each step billed in the last executions that succeeded, instance-seconds."""
    from sagemaker_pipelines.aws.billing import with_bills
    from sagemaker_pipelines.states import SUCCEEDED

    found: dict[str, list[float]] = {}
    if client.describe_pipeline(pipeline_name) is None:
        return found
    newest = islice(client.list_executions(pipeline_name), _NEWEST)
    ended = (item for item in newest if item["PipelineExecutionStatus"] == SUCCEEDED)
    for arn in (item["PipelineExecutionArn"] for item in islice(ended, last)):
        try:
            steps = with_bills(client, client.describe_execution(arn), client.list_steps(arn))
        except ClientError as error:
            client.log.warning("%s is left out: %s", arn, error)
            continue
        for step in steps:
            # What came from the cache says nothing about a step that runs.
            if step.bill is not None and step.bill.seconds:
                found.setdefault(step.name, []).append(step.bill.instance_seconds)
    return found


def _uncounted(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return why the bill of a step is not counted, by the step's name."""
    return {
        **dict.fromkeys(uncounted_steps(definition), "what it bills is not known here"),
        **dict.fromkeys(lasting_steps(definition), "what it deploys bills until it is deleted"),
    }


def _estimated(region: str, prices: Prices, found: StepInstances, before: list[float]) -> dict[str, Any]:
    price = prices.find(region, found.instance_type, found.component) if found.instance_type else None
    seconds = {
        "median": statistics.median(before) if before else None,
        "p90": _p90(before),
        "max": found.max_instance_seconds,
    }
    return {
        "step": found.step,
        "instances": f"{found.instance_count or '?'} x {found.instance_type or '?'}",
        "executions": len(before),
        **{f"{name}_instance_seconds": value for name, value in seconds.items()},
        **{
            f"{name}_cost": None if price is None or value is None else round(price.of(value), 6)
            for name, value in seconds.items()
        },
        "currency": price and price.currency,
        "price_date": price and price.date.isoformat(),
    }


def _p90(values: list[float]) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=10, method="inclusive")[-1]


def _summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of the steps; what is unknown for one of them is unknown for all."""
    total: dict[str, Any] = {"step": "total", "instances": None, "executions": None}
    currencies = {row["currency"] for row in rows}
    for key in rows[0] if rows else ():
        if key.endswith(("_seconds", "_cost")):
            values = [row[key] for row in rows]
            unknown = None in values or (key.endswith("_cost") and len(currencies) > 1)
            total[key] = None if unknown else round(sum(values), 6)
    dates: list[str] = [row["price_date"] for row in rows if row["price_date"]]
    return {**dict.fromkeys(_KEYS), **total, "price_date": min(dates, default=None)} | {
        "currency": next(iter(currencies)) if len(currencies) == 1 else None
    }


def _shown(value: Any) -> Any:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) and value < 1000 else value
