"""Deploy a definition: create or update the pipeline, or leave it as it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.assets import assets_to_upload
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.definition_check import check_definition
from sagemaker_pipelines.aws.definition_diff import definition_diff
from sagemaker_pipelines.aws.deployable import deployable, deployable_functions, required
from sagemaker_pipelines.aws.environment import (
    ENVIRONMENT_TAG,
    claim_prefix,
    environment_name,
    environment_of,
    marked,
    settled,
    unmarked,
)
from sagemaker_pipelines.aws.errors import is_conflict, is_missing
from sagemaker_pipelines.aws.functions import function_changes
from sagemaker_pipelines.aws.resources import check_code, warn_of_regions
from sagemaker_pipelines.aws.versions import UpsertResult, first_version_id, latest_version_id
from sagemaker_pipelines.definition import (
    Envelope,
    canonical,
    definition_hash,
    parse_definition,
)
from sagemaker_pipelines.definition.limits import MAX_INLINE_DEFINITION
from sagemaker_pipelines.exceptions import DefinitionError, UpsertError

HASH_TAG = "sagemaker-pipelines:definition-hash"
ATTEMPTS = 5


def upsert_pipeline(client: SageMakerClient, envelope: Envelope, **options: Any) -> UpsertResult:
    """Create the pipeline of a definition, or update it if it differs from what is deployed.

    :param client: calls AWS.
    :param envelope: the definition.
    :param options: see :class:`PipelineUpsert`.
    """
    return PipelineUpsert(client, envelope, **options).run()


class PipelineUpsert:
    """One upsert of one definition.

    :param client: calls AWS; its settings fill the placeholders, and provide the KMS key, VPC and tags of
        every job.
    :param envelope: the definition.
    :param pipeline_name: the name to deploy under; None means the envelope's name with the environment's
        prefix.
    :param description: the pipeline's description; None means the envelope's.
    :param max_parallel_execution_steps: limit on the steps of one execution that run at once.
    :param tags: tags for the pipeline and its jobs, in addition to the environment's.
    :param airflow_id: the id of the Airflow that deploys; it becomes part of the environment's name if the
        setting ``environment`` is not set.
    :raises SettingsError: the role is not set and the definition does not name it, or it needs the artifact
        bucket and that is not set.
    :raises PlaceholderError: a placeholder has no value.
    :raises DefinitionError: the filled definition would not work.
    """

    def __init__(
        self,
        client: SageMakerClient,
        envelope: Envelope,
        *,
        pipeline_name: str | None = None,
        description: str | None = None,
        max_parallel_execution_steps: int | None = None,
        tags: Mapping[str, str] | None = None,
        airflow_id: str | None = None,
    ) -> None:
        self.client = client
        self.envelope = envelope
        self.settings = client.settings
        self.role_arn = required(envelope.role(self.settings.placeholder_values), "role_arn")
        if envelope.assets or "artifact_bucket" in envelope.placeholders:
            required(self.settings.artifact_bucket, "artifact_bucket")
        self.pipeline_name = pipeline_name or envelope.pipeline_name(self.settings.name_prefix)
        self.description = unmarked(envelope.description if description is None else description)
        self.environment = environment_name(client, airflow_id)
        self.tags = {**self.settings.tags, **(tags or {})}
        self.parallelism = (
            {"MaxParallelExecutionSteps": max_parallel_execution_steps}
            if max_parallel_execution_steps is not None
            else None
        )
        self.definition = deployable(envelope, self.settings, region=client.region, tags=self.tags)
        check_definition(client, self.definition, name=self.pipeline_name, allowed=envelope.allowed_arguments)
        warn_of_regions(client, self.definition, name=self.pipeline_name)
        self.functions = deployable_functions(envelope, self.settings, region=client.region)
        self.hash = definition_hash(self.definition)

    def run(self) -> UpsertResult:
        """Create the pipeline and its functions, or update what differs, and upload missing assets.

        Before a pipeline is written, S3 has to have the code that its definition names. If nothing differs,
        this makes two read calls to SageMaker, one list call to S3 for assets and one read call for each
        function, and writes nothing. It never overwrites other writers silently: the version that is returned
        has exactly this definition, and the log names the versions that others wrote in the meantime.

        :raises MissingCodeError: S3 does not have code that the definition names.
        :raises UpsertError: other writers kept creating and changing the pipeline.
        :raises EnvironmentConflictError: the pipeline, or its prefix in the bucket, belongs to another
            environment.
        """
        for attempt in range(ATTEMPTS):
            version = latest_version_id(self.client, self.pipeline_name)
            deployed = self.client.describe_pipeline(self.pipeline_name, pipeline_version_id=version)
            owner = environment_of((deployed or {}).get("PipelineDescription"))
            self.environment = settled(f"Pipeline {self.pipeline_name!r}", owner, self.environment)
            try:
                return self._write(deployed, version)
            except ClientError as error:
                if not (is_conflict(error) or is_missing(error)):
                    raise
                self.client.log.info("Somebody else is changing %s: %s", self.pipeline_name, error)
                time.sleep(0.2 * 2**attempt)
        raise UpsertError(
            f"Pipeline {self.pipeline_name!r} was changed by others during each of {ATTEMPTS} attempts. "
            "Let only one DAG upsert a pipeline, or give each its own name_prefix."
        )

    def _write(self, deployed: Mapping[str, Any] | None, version: int | None) -> UpsertResult:
        assets = self._assets()
        missing = assets_to_upload(self.client, self.bucket, self.envelope.assets, assets) if assets else {}
        differs = deployed is None or self._differs(deployed)
        functions = function_changes(self.client, self.functions, environment=self.environment)
        if differs:
            check_code(self.client, self.definition, uploaded={f"s3://{self.bucket}/{key}" for key in assets})
        if (differs or missing or functions) and self._uses_bucket:
            claim_prefix(self.client, bucket=self.bucket, environment=self.environment)
        for key, content in missing.items():
            self._put(key, content)
            self.client.log.info("Uploaded asset s3://%s/%s", self.bucket, key)
        for change in functions:
            change.apply(self.client)
        if deployed is None:
            return self._create()
        if differs:
            return self._update(deployed, version)
        self.client.log.info("Pipeline %s is up to date (version %s)", self.pipeline_name, version)
        return self._result(deployed["PipelineArn"], version, changed=bool(missing or functions))

    def _create(self) -> UpsertResult:
        answer = self.client.sagemaker.create_pipeline(
            PipelineName=self.pipeline_name,
            Tags=self._pipeline_tags(),
            **self._body(),
        )
        # Not the newest version: somebody else may have updated the pipeline already.
        version = first_version_id(self.client, self.pipeline_name)
        self.client.log.info("Created pipeline %s (version %s)", self.pipeline_name, version)
        return self._result(answer["PipelineArn"], version, changed=True, created=True)

    def _update(self, deployed: Mapping[str, Any], previous: int | None) -> UpsertResult:
        self._log_diff(deployed)
        arn = deployed["PipelineArn"]
        # Before the update: if the upsert fails between the two calls, its retry still finds a difference.
        self.client.sagemaker.add_tags(ResourceArn=arn, Tags=self._pipeline_tags())
        answer = self.client.sagemaker.update_pipeline(PipelineName=self.pipeline_name, **self._body())
        version = answer.get("PipelineVersionId") or latest_version_id(self.client, self.pipeline_name)
        if previous is not None and version is not None and version > previous + 1:
            self.client.log.warning(
                "Pipeline %s: versions %s to %s were written by somebody else during this upsert and are no "
                "longer the newest; starts that pinned them still run them.",
                self.pipeline_name,
                previous + 1,
                version - 1,
            )
        self.client.log.info("Updated pipeline %s (version %s)", self.pipeline_name, version)
        return self._result(arn, version, changed=True)

    def _result(self, arn: str, version: int | None, *, changed: bool, created: bool = False) -> UpsertResult:
        return UpsertResult(
            pipeline_name=self.pipeline_name,
            pipeline_arn=arn,
            pipeline_version_id=version,
            changed=changed,
            created=created,
            definition_hash=self.hash,
        )

    def _differs(self, deployed: Mapping[str, Any]) -> bool:
        return (
            _deployed_hash(deployed) != self.hash
            or deployed.get("RoleArn") != self.role_arn
            # A pipeline without a mark was deployed by something else; equal to this definition, it stays so.
            or (deployed.get("PipelineDescription") or "") not in (self._description, self.description)
            or (self.parallelism is not None and deployed.get("ParallelismConfiguration") != self.parallelism)
        )

    @property
    def bucket(self) -> str:
        """The artifact bucket.

        :raises SettingsError: it is not set.
        """
        return required(self.settings.artifact_bucket, "artifact_bucket")

    @property
    def _uses_bucket(self) -> bool:
        """Whether the environment's keys in the artifact bucket, or its names, are part of the definition."""
        named = {"artifact_bucket", "name_prefix"} & {*self.envelope.placeholders}
        return bool(self.settings.artifact_bucket and (self.envelope.assets or named)) or self._is_large

    @property
    def _is_large(self) -> bool:
        return len(canonical(self.definition)) > MAX_INLINE_DEFINITION

    @property
    def _description(self) -> str:
        return marked(self.description, self.environment)

    def _pipeline_tags(self) -> list[dict[str, str]]:
        return as_tags({**self.tags, HASH_TAG: self.hash, ENVIRONMENT_TAG: self.environment})

    def _body(self) -> dict[str, Any]:
        """Return what CreatePipeline and UpdatePipeline have in common."""
        text = canonical(self.definition)
        body: dict[str, Any] = {"RoleArn": self.role_arn, "PipelineDescription": self._description}
        if self.parallelism:
            body["ParallelismConfiguration"] = self.parallelism
        if not self._is_large:
            body["PipelineDefinition"] = text
        else:
            key = f"{self.settings.name_prefix}{self.envelope.name}/definitions/{self.hash}.json"
            self._put(key, text.encode())
            body["PipelineDefinitionS3Location"] = {"Bucket": self.bucket, "ObjectKey": key}
        return body

    def _assets(self) -> dict[str, bytes]:
        """Return the content of each asset by its key, after checking its hash."""
        return {
            asset.key(self.settings.name_prefix): self.envelope.asset_path(asset).read_bytes()
            for asset in self.envelope.assets
        }

    def _put(self, key: str, body: bytes) -> None:
        # S3 checks the upload against the checksum, refuses a damaged one, and stores the checksum.
        self.client.s3.put_object(
            Bucket=self.bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256", **self.client.encryption
        )

    def _log_diff(self, deployed: Mapping[str, Any]) -> None:
        try:
            before = parse_definition(deployed.get("PipelineDefinition", ""))
        except DefinitionError:
            before = {}
        self.client.log.info(
            "Pipeline %s changes:\n%s",
            self.pipeline_name,
            definition_diff(before, self.definition, masked=self.client.account.masked),
        )


def as_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in the shape of SageMaker's API, sorted."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _deployed_hash(deployed: Mapping[str, Any]) -> str | None:
    try:
        return definition_hash(parse_definition(deployed.get("PipelineDefinition", "")))
    except DefinitionError:
        return None


def check_parallelism(value: int | None) -> None:
    """Check the limit on the steps that run at once.

    :raises ValueError: it is below 1.
    """
    if value is not None and value < 1:
        raise ValueError(
            f"max_parallel_execution_steps is {value}; expected at least 1, or None for no limit. Correct it."
        )
