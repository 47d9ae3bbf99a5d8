"""Whose names they are: no two environments deploy into one name, nor below one prefix of a bucket.

A pipeline tells its environment in its description, which an upsert reads anyway; a prefix of a bucket in
one small object. Model package groups begin with the same prefix, so they are covered with it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.errors import code_of
from sagemaker_pipelines.aws.objects import is_absent
from sagemaker_pipelines.exceptions import EnvironmentConflictError, SettingsError
from sagemaker_pipelines.reading import parse_json

if TYPE_CHECKING:
    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

ENVIRONMENT_TAG = "sagemaker-pipelines:environment"
_CLAIM_NAME = "sagemaker-pipelines-environment.json"
_MARK = re.compile(r"\s*\[environment: ([^\]]+)\]\Z")


def environment_name(hook: SageMakerPipelineHook, deployment: str | None) -> str:
    """Return what an environment is called: its setting, or the connection and the Airflow that has it.

    :param deployment: id of the Airflow; None where nobody knows it, as on a command line.
    """
    if hook.settings.environment:
        return hook.settings.environment
    connection = hook.aws_conn_id or "default"
    return f"{connection}@{deployment}" if deployment else connection


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


def claim_prefix(hook: SageMakerPipelineHook, *, bucket: str, environment: str, **encryption: Any) -> None:
    """Take the bucket's keys below the name prefix for an environment, if it has them not yet.

    :param encryption: further arguments of PutObject.
    :raises EnvironmentConflictError: another environment has them.
    :raises SettingsError: the object that says whose they are is broken.
    """
    key = f"{hook.settings.name_prefix}{_CLAIM_NAME}"
    owner = _claimed_by(hook, bucket, key)
    if owner is None:
        try:
            hook.s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=json.dumps({"environment": environment}).encode(),
                # Of two that come at once, one is refused.
                IfNoneMatch="*",
                **encryption,
            )
        except ClientError as error:
            if code_of(error) not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise
        owner = _claimed_by(hook, bucket, key)
    settled(f"s3://{bucket}/{key.removesuffix(_CLAIM_NAME)} (by its {_CLAIM_NAME})", owner, environment)


def _claimed_by(hook: SageMakerPipelineHook, bucket: str, key: str) -> str | None:
    try:
        body = hook.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if is_absent(hook.s3, error, bucket, key):
            return None
        raise
    try:
        return str(parse_json(body)["environment"])
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"s3://{bucket}/{key} says whose prefix this is, and holds {body[:80]!r} ({error}); expected "
            '{"environment": "<name>"}. Find out who wrote it, and delete it: the next upsert writes one.'
        ) from error
