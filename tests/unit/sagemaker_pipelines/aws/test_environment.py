"""Two environments never deploy into one name or prefix; over HTTP, with a real S3 and real descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.exceptions import ClientError

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.environment import (
    ENVIRONMENT_TAG,
    claim_prefix,
    environment_name,
    environment_of,
    marked,
    settled,
)
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import EnvironmentConflictError, SettingsError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from tests.unit.sagemaker_pipelines.samples import BUCKET, TaskInstance


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path / "runtime", port=0))
    yield runtime
    runtime.close()


def environment(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, connection: str, **settings: Any
) -> SageMakerClient:
    """Return the client of an environment in the runtime's account."""
    own = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn, "name_prefix": "team-"}
    extra = {
        "region_name": runtime.settings.region,
        "endpoint_url": runtime.endpoint_url,
        "config_kwargs": {"s3": {"addressing_style": "path"}},
        "service_config": {"sagemaker": {**own, **settings}},
    }
    document = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{connection.upper()}", json.dumps(document))
    return SageMakerPipelineHook(aws_conn_id=connection).client


def state(runtime: LocalRuntime) -> tuple[Any, set[tuple[str, str]]]:
    """Return all that an upsert could have changed."""
    objects = runtime.client("s3").list_objects_v2(Bucket=runtime.bucket).get("Contents", [])
    pipelines = runtime.client("sagemaker").list_pipelines()["PipelineSummaries"]
    return pipelines, {(item["Key"], item["ETag"]) for item in objects}


def test_another_environment_with_the_same_names_is_refused_and_changes_nothing(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    first = environment(runtime, monkeypatch, "aws_dev")
    arn = upsert_pipeline(first, envelope).pipeline_arn
    tags = {t["Key"]: t["Value"] for t in runtime.client("sagemaker").list_tags(ResourceArn=arn)["Tags"]}
    assert tags[ENVIRONMENT_TAG] == "aws_dev"
    before = state(runtime)
    second = environment(runtime, monkeypatch, "aws_staging")
    with pytest.raises(
        EnvironmentConflictError, match=r"'team-gated'.*'aws_dev'.*'aws_staging'.*name_prefix"
    ):
        upsert_pipeline(second, envelope)
    assert state(runtime) == before
    assert upsert_pipeline(first, envelope).changed is False
    third = environment(runtime, monkeypatch, "aws_staging", name_prefix="staging-")
    assert upsert_pipeline(third, envelope).created


def test_another_pipeline_name_does_not_let_an_environment_into_the_prefix(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    upsert_pipeline(environment(runtime, monkeypatch, "aws_dev"), envelope)
    before = state(runtime)
    second = environment(runtime, monkeypatch, "aws_staging")
    with pytest.raises(
        EnvironmentConflictError, match=rf"s3://{runtime.bucket}/team- \(by its .*\) belongs to .*'aws_dev'"
    ):
        upsert_pipeline(second, envelope, pipeline_name="own-name")
    assert state(runtime) == before


@pytest.mark.parametrize("claim", [b"", b"[]", b'{"owner": "aws_dev"}', b"[" * 100_000])
def test_a_broken_claim_is_named_with_its_cure(
    client: SageMakerClient, envelope: Envelope, claim: bytes
) -> None:
    key = "dev-sagemaker-pipelines-environment.json"
    client.s3.put_object(Bucket=BUCKET, Key=key, Body=claim)
    with pytest.raises(SettingsError, match=f"s3://{BUCKET}/{key} names the environment .* delete it"):
        claim_prefix(client, bucket=BUCKET, environment="aws_test")


def test_a_prefix_is_claimed_by_who_may_list_only_below_it(
    client: SageMakerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 denies access to the object that does not exist yet: docs/iam/airflow.json allows no more."""
    get_object = client.s3.get_object

    def get(**request: Any) -> Any:
        try:
            return get_object(**request)
        except ClientError as error:
            error.response["Error"]["Code"] = "AccessDenied"
            raise

    monkeypatch.setattr(client.s3, "get_object", get)
    claim_prefix(client, bucket=BUCKET, environment="aws_test")
    with pytest.raises(EnvironmentConflictError):
        claim_prefix(client, bucket=BUCKET, environment="aws_other")


def test_two_airflows_with_one_connection_id_are_two_environments_unless_they_say_otherwise(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    client = environment(runtime, monkeypatch, "aws_default")
    upsert_pipeline(client, envelope, airflow_id="1" * 16)
    with pytest.raises(EnvironmentConflictError, match='environment = "aws_default"'):
        upsert_pipeline(client, envelope, airflow_id="2" * 16)
    same = environment(runtime, monkeypatch, "aws_default", environment="aws_default")
    assert upsert_pipeline(same, envelope, airflow_id="2" * 16).changed is False


def test_the_upsert_task_deploys_in_the_name_of_its_airflow(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, envelope_path: Path
) -> None:
    environment(runtime, monkeypatch, "aws_default")

    def upsert_in(airflow: str) -> None:
        variables = type("Variables", (), {"get": lambda *_: airflow})()
        task = SageMakerUpsertPipelineOperator(task_id="upsert_pipeline", definition=envelope_path)
        context: Any = {"ti": TaskInstance(), "var": {"value": variables}}
        task.execute(context)

    upsert_in("blue")
    described = runtime.client("sagemaker").describe_pipeline(PipelineName="team-gated")
    assert environment_of(described["PipelineDescription"]) == "aws_default@blue"
    with pytest.raises(AirflowFailException, match="'aws_default@blue', but this is 'aws_default@green'"):
        upsert_in("green")


def test_a_pipeline_that_nobody_has_marked_is_taken_over_once(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    stop = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    runtime.create_pipeline({"Version": "2020-12-01", "Steps": [stop]}, "team-gated")
    client = environment(runtime, monkeypatch, "aws_dev")
    assert upsert_pipeline(client, envelope).changed is True
    assert upsert_pipeline(client, envelope).changed is False


def test_of_two_environments_at_once_only_one_gets_the_names(
    runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    clients = [environment(runtime, monkeypatch, name) for name in ("aws_one", "aws_two")]
    for client in clients:  # made before, as a client takes long to make
        assert client.sagemaker
        assert client.s3

    def upsert(client: SageMakerClient) -> str:
        try:
            upsert_pipeline(client, envelope)
        except EnvironmentConflictError:
            return "refused"
        return str(client.account.name)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(upsert, clients))
    assert done.count("refused") == 1
    (winner,) = set(done) - {"refused"}
    described = runtime.client("sagemaker").describe_pipeline(PipelineName="team-gated")
    assert environment_of(described["PipelineDescription"]) == winner


@pytest.mark.parametrize("description", ["Train.", "", "ends in [brackets]"])
def test_the_mark_is_read_back_from_the_description(description: str) -> None:
    assert environment_of(marked(description, "aws_default@abc")) == "aws_default@abc"
    assert environment_of(description) is None


@pytest.mark.parametrize(
    ("owner", "asks", "result"),
    [
        (None, "a@1", "a@1"),
        ("a@1", "a@1", "a@1"),
        ("a@1", "a", "a@1"),
        ("a", "a@1", "a"),
        ("a@1", "a@2", None),
        ("a", "b", None),
    ],
)
def test_a_name_without_an_airflow_fits_any(owner: str | None, asks: str, result: str | None) -> None:
    if result is None:
        with pytest.raises(EnvironmentConflictError):
            settled("it", owner, asks)
    else:
        assert settled("it", owner, asks) == result


def test_a_settings_name_holds_no_airflows_id(hook: SageMakerPipelineHook) -> None:
    hook.__dict__["settings"] = replace(hook.settings, environment="prod")
    assert environment_name(hook.client, "1" * 16) == "prod"
