"""What differs between environments: bucket, role, prefix, KMS key, VPC, tags, notification target.

The settings come from two places, and the first takes precedence:

1. the AWS connection's extra, below ``service_config.sagemaker``, where the Amazon provider keeps what
   belongs to one service::

     {"region_name": "eu-west-1", "service_config": {"sagemaker": {"artifact_bucket": "ml-prod", ...}}}

2. one TOML file for all environments, whose path is Airflow's option
   ``[sagemaker_pipelines] settings_file`` (``AIRFLOW__SAGEMAKER_PIPELINES__SETTINGS_FILE``)::

     [defaults]
     tags = { team = "ml" }

     [connections.aws_prod]
     artifact_bucket = "ml-prod"
     role_arn = "arn:aws:iam::111122223333:role/SageMakerExecutionRole"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sagemaker_pipelines.exceptions import SettingsError

# Other keys that the provider itself reads from service_config.sagemaker.
_PROVIDER_KEYS = frozenset({"endpoint_url"})
_VPC = ("security_group_ids", "subnet_ids")


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """The settings of one environment.

    :param artifact_bucket: the S3 bucket of assets, outputs and large definitions; its name, without
        ``s3://``.
    :param role_arn: the role with which SageMaker runs pipelines and jobs.
    :param environment: the environment's name; two Airflows that share one environment use the same name.
        None uses the connection id and the id of the Airflow (see
        :mod:`sagemaker_pipelines.aws.environment`).
    :param name_prefix: the prefix of the names of pipelines and model package groups, such as ``"dev-"``.
    :param kms_key_id: the key for the outputs and volumes of every job, and for uploaded assets.
    :param security_group_ids: together with ``subnet_ids``, the VPC configuration of every job; set both or
        neither.
    :param subnet_ids: see ``security_group_ids``.
    :param tags: the tags of the pipeline and of every job.
    :param notification_target: the ARN of the SNS topic for notifications.
    :param studio_domain_id: the SageMaker Studio domain for the links to executions; None disables the links.
    :param max_executing: a start waits while this many executions of the environment's pipelines are
        running; None applies only the account's quota.
    :param prices_file: a file of prices, see :mod:`sagemaker_pipelines.aws.prices`; a relative path is meant
        from the settings file. None uses ``prices.toml`` beside the settings file.
    :param max_instance_seconds: the most that an execution may bill before the wait stops it.
    :param max_cost: the most that it may cost, in the currency of the prices.
    """

    artifact_bucket: str | None = None
    role_arn: str | None = None
    environment: str | None = None
    name_prefix: str = ""
    kms_key_id: str | None = None
    security_group_ids: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    notification_target: str | None = None
    studio_domain_id: str | None = None
    max_executing: int | None = None
    prices_file: str | None = None
    max_instance_seconds: float | None = None
    max_cost: float | None = None

    @classmethod
    def load(
        cls, connection_extra: object, *, connection_id: str | None, file: str | Path | None
    ) -> PipelineSettings:
        """Merge the file's ``[defaults]``, its section for the connection, and the connection's extra.

        :param connection_extra: the connection's ``service_config.sagemaker``; may be empty.
        :param connection_id: the Airflow connection id, the key of the file's section.
        :param file: the settings file; None means that there is none.
        :raises SettingsError: a key is unknown, a value is malformed, only one half of the VPC is given, or
            the file cannot be read.
        """
        merged: dict[str, Any] = _read_file(Path(file), connection_id) if file else {}
        where = f"extra of connection {connection_id!r}, service_config.sagemaker"
        extra = table(connection_extra, where)
        own = {key: value for key, value in extra.items() if key not in _PROVIDER_KEYS}
        _check(own, where)
        merged.update(own)
        for name in _VPC:
            merged[name] = tuple(merged.get(name, ()))
        _check_vpc(merged, connection_id)
        if file or "prices_file" in merged:
            merged["prices_file"] = str(Path(file or "").parent / merged.get("prices_file", "prices.toml"))
        return cls(**merged)

    @property
    def vpc_config(self) -> dict[str, list[str]] | None:
        """The VpcConfig of every job, in the shape of SageMaker's API; None without a VPC."""
        if not self.subnet_ids:
            return None
        return {"SecurityGroupIds": list(self.security_group_ids), "Subnets": list(self.subnet_ids)}

    @property
    def placeholder_values(self) -> dict[str, str]:
        """The values of a compiled definition's placeholders; settings without a value are left out."""
        values = {
            "artifact_bucket": self.artifact_bucket,
            "role_arn": self.role_arn,
            # SageMaker accepts a role of the pipeline's own account only.
            "account_id": account_of(self.role_arn) if self.role_arn else None,
            "kms_key_id": self.kms_key_id,
            "name_prefix": self.name_prefix,
        }
        return {name: value for name, value in values.items() if value is not None}

    @property
    def location_fields(self) -> dict[str, str]:
        """The values of the fields ``{artifact_bucket}`` and ``{name_prefix}`` of a URI or a name."""
        return {"artifact_bucket": self.artifact_bucket or "", "name_prefix": self.name_prefix}


def account_of(arn: str) -> str:
    """Return the id of the account in an ARN; an empty string if it has none."""
    return (arn.split(":", 5) + [""] * 6)[4]


def _read_file(path: Path, connection_id: str | None) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(
            f"Cannot read the settings file {path}: {error}. Expected a TOML file. Correct it, or correct "
            "its path in Airflow's option [sagemaker_pipelines] settings_file."
        ) from error
    if unknown := sorted(set(content) - {"defaults", "connections"}):
        raise SettingsError(
            f"{path}: unknown section {unknown[0]!r}; expected [defaults] and [connections.<connection id>]. "
            "Rename or remove it."
        )
    connections = table(content.get("connections", {}), f"{path}, [connections]")
    merged: dict[str, Any] = {}
    for name, section in {
        "defaults": content.get("defaults", {}),
        f"connections.{connection_id}": connections.get(str(connection_id), {}),
    }.items():
        where = f"{path}, [{name}]"
        _check(table(section, where), where)
        merged.update(section)
    return merged


def table(value: object, where: str) -> Mapping[str, Any]:
    """Return a value that has to be a table (TOML) or an object (JSON).

    :param value: the value that was read.
    :param where: the place of the value, for the message.
    :raises SettingsError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"{where} is {value!r} ({type(value).__name__}); expected a table of settings. Write for example "
            'artifact_bucket = "ml-prod" (in JSON {"artifact_bucket": "ml-prod"}).'
        )
    return value


def _check(values: Mapping[str, Any], where: str) -> None:
    known = [item.name for item in fields(PipelineSettings)]
    for name, value in values.items():
        if name not in known:
            raise SettingsError(
                f"{where}: unknown setting {name!r}; expected one of {', '.join(known)}. Correct the name."
            )
        accepts, expected = _RULES[name]
        if not accepts(value):
            raise SettingsError(f"{where}: {name} is {value!r}; expected {expected}. Correct it.")


def _check_vpc(merged: Mapping[str, Any], connection_id: str | None) -> None:
    given = [name for name in _VPC if merged[name]]
    if len(given) == 1:
        (missing,) = set(_VPC) - set(given)
        raise SettingsError(
            f"The settings of the connection {connection_id!r} have {given[0]} = {list(merged[given[0]])}, "
            f"but no {missing}; expected both or neither. Set {missing} too, because without it the jobs "
            "would run outside the VPC."
        )


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value)


def _is_tags(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(text, str) for key, text in value.items()
    )


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "artifact_bucket": (_matches(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"), "a bucket name without s3://"),
    "role_arn": (
        _matches(r"arn:aws[a-z-]*:iam::\d{12}:role/.+"),
        "an ARN such as arn:aws:iam::<account>:role/<name>",
    ),
    "environment": (
        _matches(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}"),
        "at most 63 letters, digits, dots, hyphens and underscores",
    ),
    "name_prefix": (
        _matches(r"([a-zA-Z0-9](-*[a-zA-Z0-9]){0,30}-)?"),
        'an empty string, or at most 32 letters, digits and hyphens that end in a hyphen, such as "dev-"',
    ),
    "kms_key_id": (_matches(r"[a-zA-Z0-9:/_-]{1,2048}"), "a KMS key id, key ARN or alias"),
    "security_group_ids": (_is_list_of_strings, "a list of security group ids"),
    "subnet_ids": (_is_list_of_strings, "a list of subnet ids"),
    "tags": (_is_tags, "a table of strings"),
    "notification_target": (_matches(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:.+"), "the ARN of an SNS topic"),
    "studio_domain_id": (_matches(r"d-[a-zA-Z0-9-]{1,61}"), "a Studio domain id such as d-..."),
    "max_executing": (_is_count, "a whole number of 1 or more"),
    "prices_file": (lambda value: isinstance(value, str) and bool(value), "the path of a TOML file"),
    "max_instance_seconds": (_is_positive, "a number above 0"),
    "max_cost": (_is_positive, "a number above 0"),
}
