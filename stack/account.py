"""What a deployment expects to find in its AWS account, read from the Airflow connection and its settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from sagemaker_pipelines.cli.account import connection_of
from sagemaker_pipelines.definition import Envelope, parameters_of
from stack.doctor import Account
from stack.exceptions import StackError
from stack.settings import ROOT, StackSettings

DEFINITIONS = ROOT / "dags" / "definitions"
_EXAMPLE = (
    '{"service_config": {"sagemaker": {"artifact_bucket": "...", "role_arn": "arn:aws:iam::...:role/..."}}}'
)


def account_of(connection_id: str) -> tuple[Account, Callable[[str], Any]]:
    """Return what should be there, and a function that makes clients of that connection.

    :param connection_id: the Airflow connection; without one, boto3's own credentials are used.
    :raises StackError: bucket or role is not set.
    :raises SageMakerPipelinesError: the connection does not exist, or a setting is malformed.
    """
    # Airflow makes its home folder when it is imported.
    os.environ.setdefault("AIRFLOW_HOME", str(StackSettings.from_environment().airflow_home))
    # The hooks tell at each call where their credentials come from.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook

    @cache
    def client(service: str) -> Any:
        return AwsBaseHook(aws_conn_id=connection_id, client_type=service).conn

    hook = SageMakerPipelineHook(aws_conn_id=connection_of(connection_id))
    settings = hook.settings
    if not settings.artifact_bucket or not settings.role_arn:
        name = "role_arn" if settings.artifact_bucket else "artifact_bucket"
        raise StackError(
            f"{name} is not set. Put it into the extra of the connection {connection_id!r}: {_EXAMPLE}, or "
            "into the settings file that AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE names."
        )
    account = Account(
        bucket=settings.artifact_bucket,
        role_arn=settings.role_arn,
        name_prefix=settings.name_prefix,
        data_uris=data_uris(DEFINITIONS, settings.placeholder_values, region=str(hook.conn_region_name)),
        topic_arn=settings.notification_target,
    )
    return account, client


def data_uris(definitions: Path, values: dict[str, str], *, region: str) -> tuple[str, ...]:
    """Return the default URIs of the data that the compiled definitions read: parameters named ``...Data``.

    :param definitions: the folder of the envelopes.
    :param values: placeholder values.
    :param region: the region, for the images.
    """
    envelopes = [Envelope.load(path) for path in sorted(definitions.glob("*.json"))]
    parameters = [p for e in envelopes for p in parameters_of(e.fill(values, region=region))]
    uris = [str(p.default) for p in parameters if p.name.endswith("Data")]
    return tuple(dict.fromkeys(uri for uri in uris if uri.startswith("s3://")))


def allowed_arguments(definitions: Path) -> tuple[str, ...]:
    """Return the names of arguments that the compiled definitions may have although botocore refuses them.

    :param definitions: the folder of the envelopes.
    """
    envelopes = [Envelope.load(path) for path in sorted(definitions.glob("*.json"))]
    return tuple(sorted({name for envelope in envelopes for name in envelope.allowed_arguments}))
