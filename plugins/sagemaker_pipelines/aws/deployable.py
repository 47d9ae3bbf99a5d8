"""Make of a definition what is deployed in one environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagemaker_pipelines.definition import Envelope, with_job_settings
from sagemaker_pipelines.exceptions import SettingsError
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
    """
    values = settings.placeholder_values
    if role := envelope.role(values):
        values = {"account_id": account_of(role), **values}
    return with_job_settings(
        envelope.fill(values, region=region),
        kms_key_id=settings.kms_key_id,
        vpc_config=settings.vpc_config,
        tags=settings.tags if tags is None else tags,
    )


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
