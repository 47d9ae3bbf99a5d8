"""Several environments beside each other, and one in another account, against the local runtime."""

from __future__ import annotations

import json
import tomllib
from itertools import combinations
from typing import Any
from urllib.request import Request, urlopen

import pytest

from sagemaker_local_runtime.testing import LocalRuntime, local_runtime
from sagemaker_pipelines import Envelope, SageMakerPipelineHook
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.settings import PipelineSettings
from stack.settings import ROOT
from tests.iam import statements
from tests.waiting import GENEROUS_SECONDS

__all__ = ["local_runtime"]
EXAMPLE = ROOT / "docs" / "settings.example.toml"
CONNECTIONS = sorted(tomllib.loads(EXAMPLE.read_text())["connections"])
DEFINITIONS = sorted((ROOT / "dags" / "definitions").glob("*.json"))


def settings(connection_id: str) -> PipelineSettings:
    return PipelineSettings.load({}, connection_id=connection_id, file=EXAMPLE)


def texts(node: Any) -> list[str]:
    if isinstance(node, dict | list):
        return [
            text for child in (node.values() if isinstance(node, dict) else node) for text in texts(child)
        ]
    return [node] if isinstance(node, str) else []


@pytest.mark.parametrize("connection_id", CONNECTIONS)
def test_every_environment_of_the_example_is_complete(connection_id: str) -> None:
    found = settings(connection_id)
    assert found.artifact_bucket
    assert found.role_arn
    assert found.notification_target
    assert found.tags["team"] == "ml"


def test_only_production_has_key_and_network_in_the_example() -> None:
    assert [c for c in CONNECTIONS if settings(c).kms_key_id] == ["aws_prod"]
    assert [c for c in CONNECTIONS if settings(c).vpc_config] == ["aws_prod"]


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize(("one", "other"), combinations(CONNECTIONS, 2))
def test_two_environments_share_no_pipeline_group_or_key(path: Any, one: str, other: str) -> None:
    """Where the bucket is the same, everything is below different prefixes."""
    envelope = Envelope.load(path)
    owned = []
    for connection_id in (one, other):
        environment = settings(connection_id)
        filled = envelope.fill(environment.placeholder_values, region="eu-west-1")
        uris = {text for text in texts(filled) if text.startswith("s3://")}
        uris |= {
            f"s3://{environment.artifact_bucket}/{a.key(environment.name_prefix)}" for a in envelope.assets
        }
        assert all(
            uri.startswith(f"s3://{environment.artifact_bucket}/{environment.name_prefix}") for uri in uris
        )
        owned.append({envelope.pipeline_name(environment.name_prefix), *uris})
    assert not owned[0] & owned[1]


def connection(monkeypatch: pytest.MonkeyPatch, runtime: LocalRuntime, name: str, **extra: Any) -> None:
    own = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn, "name_prefix": f"{name}-"}
    document = {
        "conn_type": "aws",
        "login": f"{name}-key",
        "password": "secret",
        "extra": {
            "region_name": runtime.settings.region,
            "endpoint_url": runtime.endpoint_url,
            # The provider takes the endpoint of STS only from here.
            "service_config": {"sagemaker": own, "sts": {"endpoint_url": runtime.endpoint_url}},
            **extra,
        },
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_AWS_{name.upper()}", json.dumps(document))


def calls(runtime: LocalRuntime) -> dict[str, dict[str, int]]:
    with urlopen(Request(f"{runtime.endpoint_url}/_local_runtime/calls"), timeout=GENEROUS_SECONDS) as answer:
        found: dict[str, dict[str, int]] = json.load(answer)["by_access_key"]
    return found


@pytest.mark.thorough
def test_two_environments_deploy_into_one_account_side_by_side(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dev", "staging"):
        connection(monkeypatch, local_runtime, name)
        for path in DEFINITIONS:
            upsert_pipeline(SageMakerPipelineHook(aws_conn_id=f"aws_{name}").client, Envelope.load(path))
    sagemaker, s3 = local_runtime.client("sagemaker"), local_runtime.client("s3")
    listed = {p["PipelineName"] for p in sagemaker.list_pipelines()["PipelineSummaries"]}
    expected = {f"{name}-{path.stem}" for name in ("dev", "staging") for path in DEFINITIONS}
    assert expected <= listed
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=local_runtime.bucket)["Contents"]]
    for name in ("dev", "staging"):
        own = {key.removeprefix(f"{name}-") for key in keys if key.startswith(f"{name}-assets/")}
        assert own == {asset.key("") for path in DEFINITIONS for asset in Envelope.load(path).assets}


def test_a_connection_with_a_role_works_in_the_roles_account(
    local_runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base credentials call AssumeRole alone, with the ExternalId that the trust policy asks for."""
    (trust,) = statements("airflow-trust")
    role_arn = next(iter(statements("airflow-assume-role")))["Resource"][0]
    connection(
        monkeypatch,
        local_runtime,
        "other",
        role_arn=role_arn,
        assume_role_kwargs={"ExternalId": trust["Condition"]["StringEquals"]["sts:ExternalId"]},
    )
    before = calls(local_runtime)
    hook = SageMakerPipelineHook(aws_conn_id="aws_other")
    upsert_pipeline(hook.client, Envelope.load(DEFINITIONS[0]))
    after = calls(local_runtime)
    assert set(after["other-key"]) == {"sts:AssumeRole"}
    # Each client assumes the role by itself.
    assumed = [after[key] for key in set(after) - set(before) - {"other-key"}]
    assert {"sagemaker:CreatePipeline", "s3:PutObject"} <= set().union(*assumed)
