"""``adopt``: make an envelope, its assets and a DAG file of a pipeline that something else has deployed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import NoRegionError

from sagemaker_pipelines.cli.account import DEFAULT_CONN_ID, client_of
from sagemaker_pipelines.cli.output import AsJson, ConnId, Region, print_json, print_table, reported
from sagemaker_pipelines.exceptions import ParameterError

if TYPE_CHECKING:
    from sagemaker_pipelines.aws.adoption import Adopted, Source
    from sagemaker_pipelines.aws.client import SageMakerClient

app = typer.Typer()
_IGNORE = ".airflowignore"
_DAG = '''"""Run the pipeline {name}: an Airflow DAG of an adopted definition."""

from pathlib import Path

from sagemaker_pipelines import sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    {dag_id},
    definition=Path(__file__).parent / {path},
{more})
'''


@app.command()
def adopt(
    target: Annotated[str, typer.Argument(help="A deployed pipeline's name or ARN, or a plain definition.")],
    out: Annotated[Path, typer.Option(help="The folder of the definitions.")] = Path("dags/definitions"),
    dags: Annotated[
        Path | None, typer.Option(help="The folder of the DAG file; by default the one that contains --out.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The definition's name; by default the pipeline's.")
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="The artifact bucket; by default the connection's, or the SDK's.")
    ] = None,
    with_code: Annotated[
        bool, typer.Option("--with-code", help="Fetch the code from S3 and deploy it with the definition.")
    ] = False,
    allow_argument: Annotated[
        list[str] | None, typer.Option(help="An argument that is not checked, such as Training.NewMember.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that differ.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show everything and write nothing.")] = False,
    as_json: AsJson = False,
    conn_id: ConnId = "aws_default",
    region: Region = None,
) -> None:
    """Make a deployed pipeline, or a plain definition, a definition and a DAG of this project."""
    from sagemaker_pipelines.aws.adoption import adopt
    from sagemaker_pipelines.masking import is_secret

    with reported():
        client, source = _source(target, conn_id, region)
        adopted = adopt(
            source,
            client.settings,
            masked=client.account.masked,
            is_secret=is_secret,
            name=name,
            bucket=bucket,
            s3=client.s3 if with_code else None,
            allowed_arguments=tuple(sorted(allow_argument or ())),
        )
        _check(adopted)
        connection = _connection(source, conn_id, region)
        files = _files(adopted, out, dags or out.parent, connection)
        changed = {path: content for path, content in files.items() if not _holds(path, content)}
        if not dry_run:
            if not overwrite:
                _refuse_existing(changed)
            for path, content in changed.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    print_json(_as_dict(adopted, changed)) if as_json else _print(adopted, source, changed, dry_run=dry_run)


def _source(target: str, conn_id: str, region: str | None) -> tuple[SageMakerClient, Source]:
    from sagemaker_pipelines.aws.adoption import deployed_source, file_source

    # Path.is_file fails with a name that is longer than a file may have.
    if target.endswith(".json") or os.path.isfile(target):  # noqa: PTH113
        return client_of(conn_id, region), file_source(Path(target))
    if target.startswith("arn:"):
        parts = target.split(":", 5)
        if len(parts) < 6 or parts[2] != "sagemaker" or not parts[5].startswith("pipeline/"):
            raise ParameterError(
                f"The target is {target!r}; expected a pipeline's ARN "
                "(arn:aws:sagemaker:<region>:<account>:pipeline/<name>), its name, or the path of a "
                "definition. Correct it."
            )
        region = region or parts[3]
    client = client_of(conn_id, region)
    return client, deployed_source(client, target)


def _check(adopted: Adopted) -> None:
    """Check the definition as the upsert does, without a call to AWS."""
    from botocore.session import get_session

    from sagemaker_pipelines.definition import check

    check(
        adopted.envelope.definition,
        get_session().get_service_model("sagemaker"),
        name=adopted.envelope.name,
        allowed=adopted.envelope.allowed_arguments,
        warn=lambda problem: typer.echo(f"Warning: {problem}", err=True),
    )


def _connection(source: Source, conn_id: str, region: str | None) -> dict[str, str]:
    """Return the default_args with which the DAG's tasks call the same account and region."""
    connection = {} if conn_id == DEFAULT_CONN_ID else {"aws_conn_id": conn_id}
    if region or (source.deployed and source.region != _own_region(conn_id)):
        connection["region_name"] = region or str(source.region)
    return connection


def _own_region(conn_id: str) -> str | None:
    try:
        return client_of(conn_id, None).region
    except NoRegionError:
        return None


def _files(adopted: Adopted, out: Path, dags: Path, connection: Mapping[str, str]) -> dict[Path, bytes]:
    """Return the content of every file to write."""
    files = {out / path: content for path, content in adopted.files.items()}
    definition = next(iter(files))
    files[dags / f"{adopted.envelope.name.replace('-', '_')}_dag.py"] = dag_file(
        adopted.envelope.name, os.path.relpath(definition, dags), adopted.pipeline_name, connection
    ).encode()
    if adopted.code.assets and not _is_ignored(out, dags):
        # Airflow would import a script of a step as a DAG file if its text has the words airflow and dag.
        files[out / _IGNORE] = b"assets/\n"
    return files


def _is_ignored(out: Path, dags: Path) -> bool:
    ignored = dags / _IGNORE
    return (out / _IGNORE).exists() or (
        ignored.is_file() and out.name in ignored.read_text(encoding="utf-8").replace("/", " ").split()
    )


def dag_file(name: str, path: str, pipeline_name: str | None, connection: Mapping[str, str]) -> str:
    """Return the text of a DAG file.

    :param name: the definition's name, which is also the DAG's id.
    :param path: the path of the definition, relative to the DAG file.
    :param pipeline_name: the name to deploy under; None means the definition's.
    :param connection: the default_args that choose the account and region; may be empty.
    """
    more = "" if pipeline_name is None else f"    pipeline_name={_literal(pipeline_name)},\n"
    if connection:
        values = ", ".join(f"{_literal(key)}: {_literal(value)}" for key, value in connection.items())
        more += f"    default_args={{{values}}},\n"
    return _DAG.format(name=name, dag_id=_literal(name), path=_literal(path), more=more)


def _literal(text: str) -> str:
    """Return a text as a literal of Python, whatever it contains."""
    return json.dumps(text) if text.isascii() else repr(text)


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _refuse_existing(changed: Mapping[Path, bytes]) -> None:
    existing = [str(path) for path in changed if path.exists()]
    if existing:
        raise ParameterError(
            f"Other files exist already where these would be written: {', '.join(existing)}. Nothing was "
            "written. Compare them with --dry-run, replace them with --overwrite, or choose another --name, "
            "--out or --dags."
        )


def _as_dict(adopted: Adopted, changed: Mapping[Path, bytes]) -> dict[str, Any]:
    return {
        "name": adopted.envelope.name,
        "origin": adopted.envelope.origin,
        "pipeline_name": adopted.pipeline_name,
        "replacements": [asdict(item) for item in adopted.replacements],
        "kept": [asdict(item) for item in adopted.kept],
        "settings": adopted.settings,
        "difference": adopted.difference,
        "files": [str(path) for path in changed],
    }


def _print(adopted: Adopted, source: Source, changed: Mapping[Path, bytes], *, dry_run: bool) -> None:
    if adopted.replacements:
        typer.echo("Replaced by placeholders:")
        rows = [(item.value, item.placeholder, item.count, item.reason) for item in adopted.replacements]
        print_table(("value", "placeholder", "times", "because it is"), rows)
    if adopted.kept:
        typer.echo("\nLeft as it is:")
        print_table(("value", "because"), [(item.value, item.reason) for item in adopted.kept])
    if adopted.settings:
        typer.echo("\nThese settings of the connection give the placeholders their values of today:")
        print_table(("setting", "value"), list(adopted.settings.items()))
    if source.deployed and adopted.difference is None:
        typer.echo(f"\nAn upsert into {source.account_id}, {source.region} changes nothing.")
    elif adopted.difference is not None:
        typer.echo(f"\nAn upsert into {source.account_id}, {source.region} changes:\n{adopted.difference}")
    if adopted.pipeline_name is not None:
        typer.echo(
            f"\nIt stays deployed as {adopted.pipeline_name}: the DAG names it with pipeline_name, and "
            f"`sagemaker-pipelines upsert` needs --name {adopted.pipeline_name}."
        )
    typer.echo(
        f"\n{'Would write' if dry_run else 'Wrote'}:" if changed else "\nEverything is written already."
    )
    for path in changed:
        typer.echo(f"  {path}")
