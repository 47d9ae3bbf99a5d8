"""Keep environments apart: no two of them use the same pipeline, or the same prefix of a bucket.

The environment of a pipeline is in its description, which an upsert reads anyway; the environment of a
prefix is in one small object. Model package groups begin with the same prefix, so they are covered, too.
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
#: Executions that began earlier are not counted; this limits the number of pages that a count reads.
LOOK_BACK = timedelta(days=2)
_NEVER = datetime.min.replace(tzinfo=UTC)
_CLAIM_NAME = "sagemaker-pipelines-environment.json"
_MARK = re.compile(r"\s*\[environment: ([^\]]+)\]\Z")


def environment_name(client: SageMakerClient, airflow_id: str | None) -> str:
    """Return the name of an environment: its setting, or its connection and the id of the Airflow.

    :param airflow_id: the id of the Airflow; None if it is not known, as on a command line.
    """
    if client.settings.environment:
        return client.settings.environment
    return f"{client.account.name}@{airflow_id}" if airflow_id else client.account.name


def marked(description: str, environment: str) -> str:
    """Return a pipeline's description with the environment at its end."""
    return f"{description} [environment: {environment}]".strip()


def environment_of(description: str | None) -> str | None:
    """Return the environment in a pipeline's description; None if the description has no environment."""
    match = _MARK.search(description or "")
    return match[1] if match else None


def unmarked(description: str | None) -> str:
    """Return a pipeline's description without the environment at its end."""
    return _MARK.sub("", description or "")


def settled(what: str, owner: str | None, environment: str) -> str:
    """Return the environment that something belongs to from now on.

    :param what: a description of the thing, for the message.
    :param owner: the environment that it is marked with; None if it has no mark.
    :param environment: the environment that wants it. A name without an Airflow's id matches the same name
        with any id.
    :raises EnvironmentConflictError: they are different environments.
    """
    if owner is None:
        return environment
    if not is_owner(owner, environment):
        raise EnvironmentConflictError(what, owner, environment)
    return owner


def is_owner(owner: str | None, environment: str) -> bool:
    """Return whether the environment that something is marked with is this one; see :func:`settled`."""
    name, _, owner_id = (owner or "").partition("@")
    own_name, _, own_id = environment.partition("@")
    return name == own_name and not (owner_id and own_id and owner_id != own_id)


def claim_prefix(client: SageMakerClient, *, bucket: str, environment: str) -> None:
    """Claim the bucket's keys below the name prefix for an environment, unless it already has them.

    :raises EnvironmentConflictError: another environment has claimed them.
    :raises SettingsError: the object that holds the claim is broken.
    """
    key = f"{client.settings.name_prefix}{_CLAIM_NAME}"
    owner = _claimed_by(client, bucket, key)
    if owner is None:
        try:
            client.s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=json.dumps({"environment": environment}).encode(),
                # If two claims arrive at the same time, S3 refuses one of them.
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
            f"s3://{bucket}/{key} names the environment that the prefix belongs to, and contains "
            f'{body[:80]!r} ({error}); expected {{"environment": "<name>"}}. Find out who wrote it, and '
            "delete it: the next upsert writes it again."
        ) from error


def executing_count(client: SageMakerClient, *, limit: int) -> int:
    """Return how many executions of the environment's pipelines are executing or stopping, at most ``limit``.

    This counts the executions of all pipelines whose names begin with the environment's ``name_prefix``,
    whichever DAG or person started them; with an empty prefix, of every pipeline in the account and region. A
    pipeline without an execution in the last two days costs no call. Starts at the same moment may all see
    room, so the limit can be exceeded by the number of simultaneous starts.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListPipelineExecutions.html

    :param client: calls AWS.
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
