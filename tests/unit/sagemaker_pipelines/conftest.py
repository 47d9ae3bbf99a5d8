"""A hook whose SageMaker answers what a test says, over an S3 in process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws  # noqa: TID253 - tests of the hook need an S3

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from tests.unit.sagemaker_pipelines.samples import BUCKET, ROLE, SCRIPT, gated_definition, write_envelope
from tests.unit.sagemaker_pipelines.stand_in import judgements


@pytest.fixture(autouse=True)
def _judgements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stand-in for the hook judge by itself."""
    for name, function in judgements():
        monkeypatch.setattr(name, function)


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let triggers tell at once what has happened: no executor reports anything here."""
    monkeypatch.setenv("AIRFLOW__SAGEMAKER_PIPELINES__SETTLE_SECONDS", "0")


@pytest.fixture
def envelope_path(tmp_path: Path) -> Path:
    """A compiled envelope with one asset."""
    image = "1.dkr.ecr.us-east-1.amazonaws.com/sklearn:1.9-0"
    return write_envelope(tmp_path, SCRIPT, image, lambda _: gated_definition())


@pytest.fixture
def envelope(envelope_path: Path) -> Envelope:
    return Envelope.load(envelope_path)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a connection whose extra holds an environment."""
    sagemaker = {"artifact_bucket": BUCKET, "role_arn": ROLE, "name_prefix": "dev-"}
    extra = {"region_name": "us-east-1", "service_config": {"sagemaker": sagemaker}}
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_TEST",
        json.dumps({"conn_type": "aws", "login": "test", "password": "test", "extra": extra}),
    )
    return "aws_test"


@pytest.fixture(scope="session")
def clients() -> dict[str, Any]:
    """The hook's clients, made once: botocore takes a third of a second to read SageMaker's model."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    services = ("sagemaker", "s3", "logs")
    return {name: boto3.client(name, region_name="us-east-1", **keys) for name in services}


@pytest.fixture
def hook(connection: str, clients: dict[str, Any]) -> Iterator[SageMakerPipelineHook]:
    """A hook with an S3 that has the artifact bucket."""
    with mock_aws():
        hook = SageMakerPipelineHook(aws_conn_id=connection)
        hook.__dict__["conn"] = clients["sagemaker"]
        hook.client.__dict__.update(clients)
        hook.client.s3.create_bucket(Bucket=BUCKET)
        yield hook


@pytest.fixture
def client(hook: SageMakerPipelineHook) -> SageMakerClient:
    """The hook's client."""
    return hook.client


@pytest.fixture
def sagemaker(client: SageMakerClient) -> Iterator[Stubber]:
    """What SageMaker answers; every answer must be asked for, in this order."""
    with Stubber(client.sagemaker) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def s3_calls(client: SageMakerClient) -> Iterator[list[str]]:
    """The operations that the hook's S3 is asked for."""
    called: list[str] = []
    client.s3.meta.events.register(
        "before-call.s3", lambda model, **_: called.append(model.name), unique_id="record"
    )
    yield called
    client.s3.meta.events.unregister("before-call.s3", unique_id="record")
