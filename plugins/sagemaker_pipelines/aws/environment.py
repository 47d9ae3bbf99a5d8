"""Whose names they are: no two environments deploy into one name, nor below one prefix of a bucket.

A pipeline tells its environment in its description, which an upsert reads anyway; a prefix of a bucket in
one small object. Model package groups begin with the same prefix, so they are covered with it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import code_of
from sagemaker_pipelines.aws.objects import is_absent
from sagemaker_pipelines.exceptions import EnvironmentConflictError, SettingsError
from sagemaker_pipelines.reading import parse_json
from sagemaker_pipelines.states import EXECUTION_PHASES, Phase

ENVIRONMENT_TAG = "sagemaker-pipelines:environment"
#: An execution that began earlier is not counted: this bounds the pages that a count reads.
LOOK_BACK = timedelta(days=2)
_NEVER = datetime.min.replace(tzinfo=UTC)
_CLAIM_NAME = "sagemaker-pipelines-environment.json"
_MARK = re.compile(r"\s*\[environment: ([^\]]+)\]\Z")


def environment_name(client: SageMakerClient, deployment: str | None) -> str:
    """Return what an environment is called: its setting, or the connection and the Airflow that has it.

    :param deployment: id of the Airflow; None where nobody knows it, as on a command line.
    """
    if client.settings.environment:
        return client.settings.environment
    return f"{client.account.name}@{deployment}" if deployment else client.account.name


def marked(description: str, environment: str) -> str:
    """Return a pipeline's description with the environment at its end."""
    return f"{description} [environment: {environment}]".strip()


def environment_of(description: str | None) -> str | None:
    """Return the environment that a pipeline's description tells; None for one that nobody has marked."""
    match = _MARK.search(description or "")
    return match[1] if match else None


def settled(what: str, owner: str | None, environment: str) -> str:
    """Return the environment that something belongs to from now on.

    :param what: what it is, for the message.
    :param owner: the environment that it is marked with; None where it is not.
    :param environment: who asks. A name without an Airflow's id fits the same name with any.
    :raises EnvironmentConflictError: they are different environments.
    """
    if owner is None:
        return environment
    name, _, deployment = owner.partition("@")
    own_name, _, own_deployment = environment.partition("@")
    if name != own_name or (deployment and own_deployment and deployment != own_deployment):
        raise EnvironmentConflictError(what, owner, environment)
    return owner


def claim_prefix(client: SageMakerClient, *, bucket: str, environment: str) -> None:
    """Take the bucket's keys below the name prefix for an environment, if it has them not yet.

    :raises EnvironmentConflictError: another environment has them.
    :raises SettingsError: the object that says whose they are is broken.
    """
    key = f"{client.settings.name_prefix}{_CLAIM_NAME}"
    owner = _claimed_by(client, bucket, key)
    if owner is None:
        try:
            client.s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=json.dumps({"environment": environment}).encode(),
                # Of two that come at once, one is refused.
                IfNoneMatch="*",
                **client.encryption,
            )
        except ClientError as error:
            if code_of(error) not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise
        owner = _claimed_by(client, bucket, key)
    settled(f"s3://{bucket}/{key.removesuffix(_CLAIM_NAME)} (by its {_CLAIM_NAME})", owner, environment)


def _claimed_by(client: SageMakerClient, bucket: str, key: str) -> str | None:
    try:
        body = client.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if is_absent(client.s3, error, bucket, key):
            return None
        raise
    try:
        return str(parse_json(body)["environment"])
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"s3://{bucket}/{key} says whose prefix this is, and holds {body[:80]!r} ({error}); expected "
            '{"environment": "<name>"}. Find out who wrote it, and delete it: the next upsert writes one.'
        ) from error


def executing_count(client: SageMakerClient, *, limit: int) -> int:
    """Return how many executions of the environment's pipelines execute or stop, at most ``limit``.

    All pipelines whose names begin with the environment's ``name_prefix`` are counted, whichever DAG or
    person started them; with an empty prefix that is every pipeline of the account and region. A pipeline
    without an execution in the last two days costs no call. Two starts at the same moment may both see
    room: the limit is exceeded by at most as many as start at once.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListPipelineExecutions.html

    :param client: what to ask AWS with.
    :param limit: where to stop counting.
    """
    since = datetime.now(UTC) - LOOK_BACK
    count = 0
    for pipeline in client.pipelines(client.settings.name_prefix):
        if pipeline.get("LastExecutionTime", _NEVER) < since:
            continue
        for summary in client.list_executions(pipeline["PipelineName"], CreatedAfter=since):
            count += EXECUTION_PHASES.get(summary["PipelineExecutionStatus"]) is Phase.RUNNING
            if count >= limit:
                return count
    return count
