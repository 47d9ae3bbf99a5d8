"""Make of a definition what is deployed in one environment."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sagemaker_pipelines.aws.functions import DeployableFunction
from sagemaker_pipelines.definition import Envelope, with_job_settings
from sagemaker_pipelines.exceptions import DefinitionError, SettingsError
from sagemaker_pipelines.settings import PipelineSettings, account_of


def deployable(
    envelope: Envelope, settings: PipelineSettings, *, region: str, tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the definition as it is deployed: filled, and with the environment's settings in its jobs.

    :param envelope: the definition.
    :param settings: the environment.
    :param region: the region where the pipeline is created.
    :param tags: the tags of the jobs; None means the environment's.
    :raises PlaceholderError: a placeholder has no value.
    :raises DefinitionError: a job cannot be given the environment's key or network.
    """
    return with_job_settings(
        envelope.fill(with_account(envelope, settings.placeholder_values), region=region),
        kms_key_id=settings.kms_key_id,
        vpc_config=settings.vpc_config,
        tags=settings.tags if tags is None else tags,
    )


def deployable_functions(
    envelope: Envelope, settings: PipelineSettings, *, region: str
) -> list[DeployableFunction]:
    """Return the Lambda functions of a definition as they are deployed.

    :param envelope: the definition.
    :param settings: the environment.
    :param region: the region where the pipeline is created.
    :raises PlaceholderError: a placeholder has no value.
    :raises DefinitionError: the code of a function is not an asset of the definition.
    """
    values = with_account(envelope, settings.placeholder_values)
    functions = envelope.fill_functions(values, region=region)
    assets = {asset.path: asset for asset in envelope.assets}
    for function in functions:
        if function.code not in assets:
            raise DefinitionError(
                f"The code of the Lambda function {function.name!r} is {function.code!r}, expected the path "
                f"of an asset of the definition {envelope.name!r}: compile it again (make compile)."
            )
    return [
        DeployableFunction(
            function=function,
            bucket=required(settings.artifact_bucket, "artifact_bucket"),
            key=assets[function.code].key(settings.name_prefix),
            code_sha256=base64.b64encode(bytes.fromhex(assets[function.code].sha256)).decode(),
        )
        for function in functions
    ]


def with_account(envelope: Envelope, values: Mapping[str, str]) -> dict[str, str]:
    """Return the values of a definition's placeholders with its account, which the pipeline's role names.

    :param envelope: the definition.
    :param values: the values of the environment.
    """
    role = envelope.role(values)
    return {"account_id": account_of(role), **values} if role else dict(values)


def required(value: str | None, name: str) -> str:
    """Return a setting that has to be set.

    :raises SettingsError: it is not.
    """
    if not value:
        raise SettingsError(
            f"The setting {name} is missing. Set it in the AWS connection's extra, below "
            f'{{"service_config": {{"sagemaker": {{"{name}": ...}}}}}}, or in the settings file '
            "(Airflow's option [sagemaker_pipelines] settings_file)."
        )
    return value
