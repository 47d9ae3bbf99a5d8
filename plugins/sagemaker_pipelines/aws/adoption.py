"""Make an envelope of a pipeline that something else has deployed, or of a plain definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.code import Code, fetch_code
from sagemaker_pipelines.aws.definition_diff import definition_diff
from sagemaker_pipelines.aws.deployable import deployable
from sagemaker_pipelines.aws.environment import unmarked
from sagemaker_pipelines.definition import Envelope, canonical, definition_hash, parse_definition
from sagemaker_pipelines.definition.adoption import Kept, Replacement, Replacer, Surroundings, kept
from sagemaker_pipelines.definition.envelope import ENVELOPE_VERSION, is_pipeline_name
from sagemaker_pipelines.definition.placeholders import find_placeholders, is_placeholder
from sagemaker_pipelines.definition.resources import buckets_of, images_of
from sagemaker_pipelines.exceptions import DefinitionError
from sagemaker_pipelines.settings import PipelineSettings, account_of


@dataclass(frozen=True, kw_only=True)
class Source:
    """A pipeline to adopt.

    :param name: its name: the deployed one, or that of the file.
    :param definition: its definition.
    :param description: its description, without an environment.
    :param role_arn: its role, if that is known.
    :param account_id: its account, if that is known.
    :param region: its region, if that is known.
    :param origin: its ARN, or the path of its file.
    :param deployed: whether it was read from AWS.
    """

    name: str
    definition: dict[str, Any]
    description: str
    role_arn: str | None
    account_id: str | None
    region: str | None
    origin: str
    deployed: bool = False


def deployed_source(client: SageMakerClient, pipeline: str) -> Source:
    """Return a deployed pipeline, with the definition of its newest version.

    :param client: calls AWS.
    :param pipeline: its name or ARN.
    :raises DefinitionError: it does not exist.
    """
    described = client.describe_pipeline(pipeline)
    if described is None:
        raise DefinitionError(
            f"There is no pipeline {pipeline!r} in {client.region}. `sagemaker-pipelines list` lists those "
            "of the environment; choose another account with --conn-id or --profile, or another --region."
        )
    arn = described["PipelineArn"]
    return Source(
        name=described.get("PipelineName") or arn.rpartition("/")[2],
        definition=parse_definition(described["PipelineDefinition"]),
        description=unmarked(described.get("PipelineDescription")),
        role_arn=described.get("RoleArn"),
        account_id=account_of(arn),
        region=arn.split(":")[3],
        origin=arn,
        deployed=True,
    )


def file_source(path: Path) -> Source:
    """Return a plain definition; its account is that of its role, its region that of its images.

    :param path: what the SDK's ``pipeline.definition()`` returned, or DescribePipeline's answer.
    :raises DefinitionError: it is something else, such as an envelope.
    """
    envelope = Envelope.load(path)
    if envelope.origin != str(path):
        raise DefinitionError(
            f"{path} is an envelope already; expected a plain definition. Use it as it is, or adopt the "
            "deployed pipeline by its name."
        )
    role = envelope.role({})
    regions = {image.region for image in images_of(envelope.definition).values()}
    return Source(
        name=envelope.name,
        definition=envelope.definition,
        description=unmarked(envelope.description),
        role_arn=role,
        account_id=account_of(role) if role else None,
        region=regions.pop() if len(regions) == 1 else None,
        origin=path.name,
    )


def surroundings_of(source: Source, settings: PipelineSettings, bucket: str | None) -> Surroundings:
    """Return what a definition was made for, as far as that is certain.

    :param source: the pipeline.
    :param settings: the environment: what it sets is what an upsert fills in.
    :param bucket: the artifact bucket that the user names; None means the environment's, else the one that
        the SDK would have chosen, else the only one in the definition.
    """
    buckets = buckets_of(source.definition)
    default = f"sagemaker-{source.region}-{source.account_id}"
    chosen = bucket or settings.artifact_bucket or (default if default in buckets else None)
    return Surroundings(
        role_arn=settings.role_arn or source.role_arn,
        bucket=chosen or (next(iter(buckets)) if len(buckets) == 1 else None),
        name_prefix=settings.name_prefix if source.name.startswith(settings.name_prefix) else "",
        account_id=source.account_id,
        region=source.region,
        kms_key_id=settings.kms_key_id,
    )


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """An adopted pipeline, which is not written yet.

    :param envelope: the envelope; its assets are in ``code``.
    :param pipeline_name: the name under which the pipeline is deployed, if the envelope's name and the
        environment's prefix do not make it; else None.
    :param code: the code that was fetched.
    :param replacements: what was replaced by placeholders.
    :param kept: what was not, and why.
    :param settings: settings that the environment needs and does not have, with their values so far.
    :param difference: how the definition changes if it is deployed with these settings; None if it does not.
    """

    envelope: Envelope
    pipeline_name: str | None
    code: Code
    replacements: tuple[Replacement, ...]
    kept: tuple[Kept, ...]
    settings: Mapping[str, str]
    difference: str | None

    @property
    def files(self) -> dict[str, bytes]:
        """The content of every file to write, by its path in the folder of the definitions."""
        return {f"{self.envelope.name}.json": document(self.envelope).encode(), **self.code.contents}


def adopt(
    source: Source,
    settings: PipelineSettings,
    *,
    masked: Callable[[Any], Any],
    is_secret: Callable[[str], bool],
    name: str | None = None,
    bucket: str | None = None,
    s3: Any = None,
    allowed_arguments: tuple[str, ...] = (),
) -> Adopted:
    """Make an envelope of a definition: with placeholders where they are certain, and with its code.

    :param source: the pipeline.
    :param settings: the environment that it will belong to.
    :param masked: masks the secrets in JSON types, for what is shown.
    :param is_secret: whether a value with this name may be a secret.
    :param name: the envelope's name; None means the pipeline's without the environment's prefix.
    :param bucket: see :func:`surroundings_of`.
    :param s3: a boto3 client that fetches the code; None leaves the code where it is.
    :param allowed_arguments: arguments that are not checked.
    :raises MissingCodeError: S3 does not have the code.
    :raises DefinitionError: the name cannot be used, or the code is too large.
    """
    surroundings = surroundings_of(source, settings, bucket)
    own_name = _own_name(name or source.name.removeprefix(surroundings.name_prefix))
    code = fetch_code(s3, source.definition, surroundings) if s3 is not None else Code()
    replacer = Replacer(surroundings, code.moved)
    definition = replacer.replace(source.definition)
    role = None if source.role_arn == surroundings.role_arn else replacer.replace(source.role_arn)
    envelope = Envelope(
        name=own_name,
        description=source.description,
        definition=definition,
        images=replacer.images,
        assets=code.assets,
        placeholders=tuple(sorted(filter(is_placeholder, find_placeholders([definition, role])))),
        root=Path(),
        allowed_arguments=allowed_arguments,
        role_arn=role,
        origin=source.origin,
    )
    complete = replace(
        settings,
        artifact_bucket=settings.artifact_bucket or surroundings.bucket,
        role_arn=settings.role_arn or surroundings.role_arn,
    )
    is_renamed = source.deployed and source.name != f"{settings.name_prefix}{own_name}"
    return Adopted(
        envelope=envelope,
        pipeline_name=source.name if is_renamed else None,
        code=code,
        replacements=tuple(replacer.replacements),
        kept=(*code.kept, *kept(definition, surroundings, is_secret)),
        settings=_missing_settings(envelope, settings, complete),
        difference=_difference(envelope, source, complete, masked),
    )


def _own_name(name: str) -> str:
    if not is_pipeline_name(name):
        raise DefinitionError(
            f"The definition would be called {name!r}; expected letters, digits and hyphens, starting with a "
            "letter or digit. Choose another one with --name."
        )
    return name


def _missing_settings(
    envelope: Envelope, settings: PipelineSettings, complete: PipelineSettings
) -> dict[str, str]:
    """Return the settings that an upsert of the envelope needs and that are not set, with their values."""
    needed = {*envelope.placeholders, *(() if envelope.role_arn else ("role_arn",))} - {"account_id"}
    values, known = complete.placeholder_values, settings.placeholder_values
    return {name: value for name, value in values.items() if name in needed and name not in known}


def _difference(
    envelope: Envelope, source: Source, settings: PipelineSettings, masked: Callable[[Any], Any]
) -> str | None:
    """Return what an upsert into the account of the source would change; None if it would change nothing."""
    if source.region is None:
        return None
    after = deployable(envelope, settings, region=source.region)
    if definition_hash(after) != definition_hash(source.definition):
        return definition_diff(source.definition, after, masked=masked)
    role = envelope.role(settings.placeholder_values)
    if source.deployed and role != source.role_arn:
        return f"the pipeline's role: {source.role_arn} becomes {role}"
    return None


def document(envelope: Envelope) -> str:
    """Return the text of an envelope's file."""
    optional = {"role_arn": envelope.role_arn, "allowed_arguments": list(envelope.allowed_arguments)}
    return canonical(
        {
            "envelope_version": ENVELOPE_VERSION,
            "name": envelope.name,
            "description": envelope.description,
            "origin": envelope.origin,
            "annotations": envelope.annotations,
            "definition": envelope.definition,
            "images": envelope.images,
            "assets": [
                {key: value for key, value in asdict(asset).items() if value is not None}
                for asset in envelope.assets
            ],
            "placeholders": list(envelope.placeholders),
            **{key: value for key, value in optional.items() if value},
        }
    )
