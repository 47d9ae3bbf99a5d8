"""A definition and its package get to another account once, and only if they were executed in the first."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import shlex
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from typer.testing import CliRunner

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime, RuntimeProcess
from sagemaker_local_runtime.testing_client import Endpoint
from sagemaker_pipelines.aws import champion, promoted, promotion
from sagemaker_pipelines.aws.artifacts import artifacts_at, copy_artifact
from sagemaker_pipelines.aws.promotion import Promotion
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.cli import app
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import ModelPackageError, ParameterError, PromotionError, SupersededError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.operators.promotion import SageMakerPromoteOperator
from stack.bootstrap import DATA_FILE, split_data
from stack.settings import ROOT
from tests.documents import blocks
from tests.iam import allowed_actions
from tests.unit.sagemaker_pipelines.samples import TaskStateStore, context_of

REGIONS = {"dev": "us-east-1", "prod": "eu-west-1"}
ACCOUNTS = {"dev": "111111111111", "prod": "222222222222"}
IMAGES = {region: f"1.dkr.ecr.{region}.amazonaws.com/xgboost:3" for region in REGIONS.values()}
OBJECTS = {"model.tar.gz": b"model", "evaluation.json": b"{}", "transform.json": b"[1]"}
BASE = "s3://${artifact_bucket}/${name_prefix}files"


def definition(note: str) -> dict[str, Any]:
    """Return a definition that registers a model which is in S3 already."""
    container = {"Image": "${image:xgboost}", "ModelDataUrl": f"{BASE}/model.tar.gz"}
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    statistics = {"ContentType": "application/json", "S3Uri": f"{BASE}/evaluation.json"}
    arguments = {
        "ModelPackageGroupName": "${name_prefix}models",
        "ModelPackageDescription": note,
        "InferenceSpecification": {"Containers": [container], **types},
        "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        "CustomerMetadataProperties": {"feature_transform": f"{BASE}/transform.json"},
        "ModelApprovalStatus": "Approved",
    }
    step = {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}
    return {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": [step]}


def write(folder: Path, content: dict[str, Any] | None = None, *, name: str = "") -> Path:
    """Write an envelope, whose pipeline has a name of its own, and return its path."""
    document = {
        "envelope_version": 1,
        "name": name or f"p-{uuid.uuid4().hex[:8]}",
        "description": "Register a model.",
        "definition": content or definition("first"),
        "images": {"xgboost": IMAGES},
        "assets": [],
        "placeholders": ["artifact_bucket", "image:xgboost", "name_prefix"],
    }
    path = folder / f"{uuid.uuid4().hex}.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Endpoint]]:
    """Two accounts; a process of its own for the second, because a process has one state of moto."""

    def settings(name: str) -> Settings:
        folder = tmp_path_factory.mktemp(name)
        return Settings(data_dir=folder, port=0, region=REGIONS[name], account_id=ACCOUNTS[name])

    dev, prod = LocalRuntime(settings("dev")), RuntimeProcess(settings("prod"))
    for name, body in OBJECTS.items():
        dev.put(f"dev-files/{name}", body)
    yield {"dev": dev, "prod": prod}
    _hook.cache_clear()
    prod.close()
    dev.close()


@pytest.fixture(autouse=True)
def _connections(runtimes: dict[str, Endpoint], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, runtime in runtimes.items():
        sagemaker = {
            "artifact_bucket": runtime.bucket,
            "environment": name,
            "role_arn": runtime.role_arn,
            "name_prefix": f"{name}-",
        }
        extra = {
            "region_name": REGIONS[name],
            "endpoint_url": runtime.endpoint_url,
            "service_config": {"sagemaker": sagemaker},
        }
        # What the promotion itself calls is recorded under a key of its own.
        for login in (name, f"promoter_{name}"):
            connection = {"conn_type": "aws", "login": login, "password": "test", "extra": extra}
            monkeypatch.setenv(f"AIRFLOW_CONN_{login.upper()}", json.dumps(connection))


@cache
def _hook(name: str) -> SageMakerPipelineHook:
    return SageMakerPipelineHook(aws_conn_id=name)


def client(name: str) -> Any:
    """Return the client of a connection; botocore takes a third of a second to make one."""
    return _hook(name).client


def execute(runtimes: dict[str, Endpoint], path: Path) -> str:
    """Execute a definition in the first account, and return the package that it registered."""
    result = upsert_pipeline(client("dev"), Envelope.load(path))
    arn = runtimes["dev"].start(result.pipeline_name)
    assert runtimes["dev"].wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    step = runtimes["dev"].steps(arn)["Register"]
    return str(step["Metadata"]["RegisterModel"]["Arn"])


def promote(path: Path, **options: Any) -> dict[str, Any]:
    envelope = Envelope.load(path)
    return Promotion(client("promoter_dev"), client("promoter_prod"), envelope, **options).run()


def described(package: str) -> dict[str, Any]:
    found: dict[str, Any] = client("prod").sagemaker.describe_model_package(ModelPackageName=package)
    return found


def test_the_package_is_registered_with_copies_of_all_that_it_names(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    package = execute(runtimes, path)
    result = promote(path)
    assert result["source_model_package_arn"] == package
    found = described(result["model_package_arn"])
    assert f":{REGIONS['prod']}:{ACCOUNTS['prod']}:model-package/prod-models/" in result["model_package_arn"]
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    (container,) = found["InferenceSpecification"]["Containers"]
    assert container["Image"] == IMAGES["eu-west-1"]
    metadata = found["CustomerMetadataProperties"]
    assert metadata["promoted_from"] == package
    assert metadata["promoted_definition_hash"] == result["source_definition_hash"]
    assert metadata["promoted_execution"] == result["source_execution_arn"]
    uris = [
        container["ModelDataUrl"],
        found["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"],
        metadata["feature_transform"],
    ]
    assert sorted(uris) == sorted(result["copied"])
    for uri, (name, body) in zip(uris, OBJECTS.items(), strict=True):
        assert uri.startswith(f"s3://{runtimes['prod'].bucket}/prod-")
        assert uri.endswith(f"/{name}")
        assert runtimes["prod"].get(uri) == body
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        head = client("prod").s3.head_object(Bucket=bucket, Key=key)
        assert head["Metadata"]["sha256"] == hashlib.sha256(body).hexdigest()
    deployed = client("prod").deployed_definition(result["pipeline_name"])
    assert deployed["Steps"][0]["Arguments"]["ModelPackageGroupName"] == "prod-models"


def record_of(found: dict[str, Any], runtime: Endpoint) -> dict[str, Any]:
    """Return the record that a package's ApprovalDescription names."""
    uri = found["ApprovalDescription"].partition("; record ")[2].partition(";")[0]
    record: dict[str, Any] = json.loads(runtime.get(uri))
    return record


def test_a_package_that_is_promoted_as_approved_has_a_record(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    package = execute(runtimes, path)
    told = {"ModelApprovalStatus": "Approved", "ApprovalDescription": "Approved by Ada"}
    client("dev").sagemaker.update_model_package(ModelPackageArn=package, **told)
    pending = promote(path)["model_package_arn"]
    assert described(pending)["ModelApprovalStatus"] == "PendingManualApproval"
    # Also one that is there, if nobody has decided about it: a promotion may have died before its approval.
    decided = {"decided_by": "Bob", "dag_id": "promote", "run_id": "manual__1"}
    result = promote(path, approval_status="Approved", **decided)
    assert (result["model_package_arn"], result["changed"]) == (pending, True)
    found = described(pending)
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["ApprovalDescription"].startswith("Approved by Bob at ")
    record = record_of(found, runtimes["prod"])
    assert record["reason"] == f"promoted from {package}, which is Approved: Approved by Ada"
    assert [record[name] for name in decided] == list(decided.values())
    assert promote(path, approval_status="Approved", **decided)["changed"] is False
    assert described(pending) | {"ResponseMetadata": 0} == found | {"ResponseMetadata": 0}


def test_only_an_approved_package_is_promoted_as_approved(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    approved, pending = execute(runtimes, path), execute(runtimes, path)
    change = client("dev").sagemaker.update_model_package
    change(ModelPackageArn=pending, ModelApprovalStatus="PendingManualApproval")
    with pytest.raises(ModelPackageError, match=f"{pending} is PendingManualApproval; expected Approved"):
        promote(path, model_package_arn=pending, approval_status="Approved")
    assert promote(path, approval_status="Approved")["source_model_package_arn"] == approved
    change(ModelPackageArn=approved, ModelApprovalStatus="PendingManualApproval")
    with pytest.raises(PromotionError, match=r"registered an Approved model package.* Approve the package"):
        promote(path, approval_status="Approved")
    assert promote(path)["source_model_package_arn"] == pending


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_an_approval_that_is_lost_on_its_way_is_made_by_the_next_promotion(
    runtimes: dict[str, Endpoint], tmp_path: Path, kind: str
) -> None:
    path = write(tmp_path)
    execute(runtimes, path)
    # As many as botocore's attempts.
    runtimes["prod"].add_fault("UpdateModelPackage", kind, count=5)
    try:
        with pytest.raises(BotoCoreError):
            promote(path, approval_status="Approved")
    finally:
        runtimes["prod"].clear_faults()
    result = promote(path, approval_status="Approved")
    found = described(result["model_package_arn"])
    assert found["ModelApprovalStatus"] == "Approved"
    assert record_of(found, runtimes["prod"])["model_package_arn"] == result["model_package_arn"]


@pytest.mark.thorough
def test_twice_is_once_and_a_decision_made_meanwhile_is_kept(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    execute(runtimes, path)
    first = promote(path, approval_status="Approved")
    assert described(first["model_package_arn"])["ModelApprovalStatus"] == "Approved"
    client("prod").sagemaker.update_model_package(
        ModelPackageArn=first["model_package_arn"], ModelApprovalStatus="Rejected"
    )
    before = runtimes["prod"].calls()
    second = promote(path, approval_status="Approved")
    assert {**second, "changed": True, "copied": first["copied"]} == first
    assert (second["changed"], second["copied"]) == (False, [])
    assert described(first["model_package_arn"])["ModelApprovalStatus"] == "Rejected"
    after = runtimes["prod"].calls()
    writes = ("sagemaker:CreateModelPackage", "sagemaker:UpdatePipeline", "s3:PutObject")
    assert [after.get(name) for name in writes] == [before.get(name) for name in writes]


@pytest.mark.thorough
def test_two_promotions_at_the_same_moment_register_one_package(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    execute(runtimes, path)
    late = Promotion(client("dev"), client("prod"), Envelope.load(path))
    plan = late.plan()
    first = promote(path)["model_package_arn"]
    late.plan = lambda: plan  # type: ignore[method-assign]
    assert late.run()["model_package_arn"] == first


@pytest.mark.thorough
def test_a_promoted_package_that_was_deleted_is_registered_again(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    execute(runtimes, path)
    seen = set()
    for _ in range(3):
        package = promote(path, approval_status="Approved")["model_package_arn"]
        assert described(package)["ModelApprovalStatus"] == "Approved"
        seen.add(package)
        client("prod").sagemaker.delete_model_package(ModelPackageName=package)
    assert len(seen) == 3


@pytest.mark.thorough
def test_a_promoted_package_that_is_older_than_the_champion_is_not_approved(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    older = execute(runtimes, path)
    pending = promote(path)["model_package_arn"]
    execute(runtimes, path)
    champion = promote(path, approval_status="Approved")["model_package_arn"]
    before = runtimes["prod"].calls()
    with pytest.raises(
        SupersededError, match=f"{pending} cannot be approved: the champion is {champion} now"
    ):
        promote(path, model_package_arn=older, approval_status="Approved")
    assert described(pending)["ModelApprovalStatus"] == "PendingManualApproval"
    writes = ("sagemaker:UpdateModelPackage", "s3:PutObject")
    assert [runtimes["prod"].calls().get(name) for name in writes] == [before.get(name) for name in writes]


@pytest.mark.thorough
def test_a_package_that_is_gone_from_the_source_is_refused_by_name(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    package = execute(runtimes, path)
    client("dev").sagemaker.delete_model_package(ModelPackageName=package)
    with pytest.raises(ModelPackageError, match=f"{package} does not exist"):
        promote(path)


@pytest.mark.thorough
def test_the_plan_says_what_would_be_done_and_writes_nothing(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    package = execute(runtimes, path)
    arguments = ["promote", str(path), "--conn-id", "dev", "--to", "prod", "--status", "Approved"]
    name = json.loads(path.read_text())["name"]
    before = {runtime: runtime.calls() for runtime in runtimes.values()}
    shown = CliRunner().invoke(app, [*arguments, "--plan"])
    assert shown.exit_code == 0, shown.output
    for text in ("pipeline                create", package, "register and approve", "copy", "model.tar.gz"):
        assert " ".join(text.split()) in " ".join(shown.output.split())
    assert client("prod").describe_pipeline(f"prod-{name}") is None
    made = {
        action.partition(":")[2]
        for runtime, calls in before.items()
        for action, count in runtime.calls().items()
        if count != calls.get(action)
    }
    # The runtime itself sends what has happened before.
    made.discard("PutEvents")
    assert {action for action in made if not action.startswith(("Describe", "Get", "Head", "List"))} == set()
    assert "DescribeModelPackage" in made
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    planned = json.loads(CliRunner().invoke(app, [*arguments, "--plan", "--json"]).stdout)
    assert (planned["pipeline"], {item["is_stored"] for item in planned["artifacts"]}) == (
        "unchanged",
        {True},
    )
    assert planned["model_package_arn"] == json.loads(done.stdout)["model_package_arn"]


def test_a_definition_that_the_source_has_not_executed_is_refused(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    name = json.loads(path.read_text())["name"]
    with pytest.raises(PromotionError, match="None of the 0 newest executions"):
        promote(path)
    execute(runtimes, path)
    changed = write(tmp_path, definition("changed"), name=name)
    with pytest.raises(PromotionError, match=r"None of the 1 newest executions.* is a succeeded one"):
        promote(changed)
    assert client("prod").describe_pipeline(f"prod-{name}") is None


@pytest.mark.thorough
def test_a_failed_execution_proves_nothing(runtimes: dict[str, Endpoint], tmp_path: Path) -> None:
    content = definition("fails")
    fail = {"Name": "Refuse", "Type": "Fail", "DependsOn": ["Register"], "Arguments": {"ErrorMessage": "no"}}
    path = write(tmp_path, {**content, "Steps": [*content["Steps"], fail]})
    result = upsert_pipeline(client("dev"), Envelope.load(path))
    runtimes["dev"].wait(runtimes["dev"].start(result.pipeline_name))
    with pytest.raises(PromotionError, match="is a succeeded one"):
        promote(path)


@pytest.mark.thorough
def test_the_package_that_is_named_is_promoted_and_one_of_another_pipeline_is_not(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    older, _ = execute(runtimes, path), execute(runtimes, path)
    assert promote(path, model_package_arn=older)["source_model_package_arn"] == older
    other = execute(runtimes, write(tmp_path))
    with pytest.raises(PromotionError, match=f"that registered {other}"):
        promote(path, model_package_arn=other)


def test_each_package_of_an_execution_can_be_named(runtimes: dict[str, Endpoint], tmp_path: Path) -> None:
    content = definition("two")
    (step,) = content["Steps"]
    path = write(tmp_path, {**content, "Steps": [step, {**step, "Name": "Second"}]})
    result = upsert_pipeline(client("dev"), Envelope.load(path))
    arn = runtimes["dev"].start(result.pipeline_name)
    runtimes["dev"].wait(arn)
    steps = runtimes["dev"].steps(arn).values()
    for package in [step["Metadata"]["RegisterModel"]["Arn"] for step in steps]:
        assert promote(path, model_package_arn=package)["source_model_package_arn"] == package


def test_a_pipeline_that_was_deployed_under_another_name_is_found_by_it(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    name = f"p-{uuid.uuid4().hex[:8]}"
    upsert_pipeline(client("dev"), Envelope.load(path), pipeline_name=f"dev-{name}")
    runtimes["dev"].wait(runtimes["dev"].start(f"dev-{name}"))
    with pytest.raises(PromotionError, match="under another name, give that name"):
        promote(path)
    arguments = ["promote", str(path), "--conn-id", "dev", "--to", "prod", "--name", f"dev-{name}", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["pipeline_name"] == f"prod-{name}"


@pytest.mark.thorough
def test_a_rejected_package_and_one_whose_files_are_gone_are_refused(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    path = write(tmp_path)
    package = execute(runtimes, path)
    dev = client("dev")
    change = {"ModelPackageArn": package}
    gone = {"more": f"s3://{runtimes['dev'].bucket}/dev-files/gone.json"}
    dev.sagemaker.update_model_package(**change, CustomerMetadataProperties=gone)
    with pytest.raises(PromotionError, match=r"gone.json, but S3 has nothing there"):
        promote(path)
    address = "https://bucket.s3.eu-west-1.amazonaws.com/transform.json"
    dev.sagemaker.update_model_package(**change, CustomerMetadataProperties={"more": address})
    with pytest.raises(PromotionError, match=f"names {address}; expected an S3 URI"):
        promote(path)
    dev.sagemaker.update_model_package(**change, ModelApprovalStatus="Rejected")
    with pytest.raises(PromotionError, match="has the ModelApprovalStatus Rejected"):
        promote(path)


@pytest.mark.thorough
def test_a_pipeline_that_registers_nothing_is_promoted_alone(
    runtimes: dict[str, Endpoint], tmp_path: Path
) -> None:
    condition = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
    arguments = {"Conditions": [condition], "IfSteps": [], "ElseSteps": []}
    step = {"Name": "Decide", "Type": "Condition", "Arguments": arguments}
    note = [{"Name": n, "Type": "String", "DefaultValue": f"${{{n}}}"} for n in ("artifact_bucket",)]
    content = {"Version": "2020-12-01", "Metadata": {}, "Parameters": note, "Steps": [step]}
    path = write(tmp_path, content)
    document = json.loads(path.read_text()) | {"placeholders": ["artifact_bucket"], "images": {}}
    path.write_text(json.dumps(document))
    result = upsert_pipeline(client("dev"), Envelope.load(path))
    runtimes["dev"].wait(runtimes["dev"].start(result.pipeline_name))
    with pytest.raises(PromotionError, match="registers no model, but the package arn:some"):
        promote(path, model_package_arn="arn:some")
    promoted = promote(path)
    assert (promoted["model_package_arn"], promoted["changed"]) == (None, True)
    assert client("prod").describe_pipeline(promoted["pipeline_name"]) is not None


@pytest.mark.thorough
def test_an_object_that_changes_between_the_plan_and_the_copy_is_refused(
    runtimes: dict[str, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    execute(runtimes, path)
    plan = Promotion.plan

    def planned(self: Promotion) -> Any:
        found = plan(self)
        runtimes["dev"].put("dev-files/model.tar.gz", b"another model")
        return found

    monkeypatch.setattr(promotion.Promotion, "plan", planned)
    try:
        with pytest.raises(PromotionError, match=r"model\.tar\.gz cannot be read as it was listed"):
            promote(path)
    finally:
        runtimes["dev"].put("dev-files/model.tar.gz", OBJECTS["model.tar.gz"])


def test_an_object_that_the_source_may_not_list_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = client("dev")

    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListObjectsV2")

    monkeypatch.setattr(dev.s3, "list_objects_v2", denied)
    with pytest.raises(PromotionError, match=r"names s3://others/model\.tar\.gz, but .* may not list it"):
        list(artifacts_at(dev, client("prod"), "s3://others/model.tar.gz", "s3://b/model.tar.gz"))


def test_an_archive_that_is_not_the_registered_one_is_refused(
    runtimes: dict[str, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    execute(runtimes, path)
    etag = hashlib.md5(OBJECTS["model.tar.gz"]).hexdigest()
    describe = champion.described_model_package

    def described_with(recorded: str) -> Any:
        def answer(*arguments: Any) -> dict[str, Any]:
            found = describe(*arguments)
            found["InferenceSpecification"]["Containers"][0]["ModelDataETag"] = recorded
            return found

        return answer

    monkeypatch.setattr(promotion, "described_model_package", described_with("0" * 32))
    with pytest.raises(PromotionError, match=f'has the ETag "{etag}", but had {"0" * 32} when'):
        promote(path)
    monkeypatch.setattr(promotion, "described_model_package", described_with(f'"{etag}"'))
    assert promote(path)["changed"]


@pytest.mark.parametrize(
    ("code", "expected", "text"),
    [
        ("SlowDown", ClientError, "SlowDown"),
        ("AccessDenied", PromotionError, "may not read it"),
        ("PreconditionFailed", PromotionError, "cannot be read as it was listed"),
        ("NoSuchKey", PromotionError, "cannot be read as it was listed"),
    ],
)
def test_only_an_object_that_has_changed_is_called_so(
    runtimes: dict[str, Endpoint],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    expected: type[Exception],
    text: str,
) -> None:
    dev, prod = client("dev"), client("prod")
    uri = f"s3://{runtimes['dev'].bucket}/dev-files/model.tar.gz"
    (artifact,) = artifacts_at(dev, prod, uri, f"s3://{runtimes['prod'].bucket}/prod-copied")

    def refused(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")

    monkeypatch.setattr(dev.s3, "get_object", refused)
    with pytest.raises(expected, match=text):
        copy_artifact(dev, prod, artifact)


def test_a_package_that_is_not_known_at_once_is_not_registered_twice(
    runtimes: dict[str, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    execute(runtimes, path)
    monkeypatch.setattr(promoted, "PAUSES", (0.0, 0.0))
    sagemaker = client("promoter_prod").sagemaker
    create, describe = sagemaker.create_model_package, sagemaker.describe_model_package
    unknown, created_arns = list[str](), list[str]()

    def created(**arguments: Any) -> Any:
        answer = create(**arguments)
        if not created_arns:
            unknown.extend([answer["ModelPackageArn"]] * 2)
        created_arns.append(answer["ModelPackageArn"])
        return answer

    def known_later(**arguments: Any) -> Any:
        if arguments["ModelPackageName"] in unknown:
            unknown.pop()
            error = {"Code": "ValidationException", "Message": "does not exist"}
            raise ClientError({"Error": error}, "DescribeModelPackage")
        return describe(**arguments)

    monkeypatch.setattr(sagemaker, "create_model_package", created)
    monkeypatch.setattr(sagemaker, "describe_model_package", known_later)
    assert [promote(path)["model_package_arn"]] == created_arns


def test_what_cannot_be_meant_is_refused_before_any_call(tmp_path: Path) -> None:
    envelope = Envelope.load(write(tmp_path))
    with pytest.raises(ParameterError, match="expected one of PendingManualApproval, Approved"):
        Promotion(client("dev"), client("prod"), envelope, approval_status="Rejected")
    with pytest.raises(ParameterError, match="are the same environment"):
        Promotion(client("dev"), client("dev"), envelope)


@pytest.mark.thorough
def test_the_operator_promotes_and_fails_without_a_retry_if_it_is_refused(
    runtimes: dict[str, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    path = write(tmp_path)
    operator = SageMakerPromoteOperator(
        task_id="promote", definition=path, aws_conn_id="dev", target_conn_id="prod"
    )
    with pytest.raises(AirflowFailException, match="Nothing was promoted"):
        operator.execute({})
    package = execute(runtimes, path)
    context = context_of(TaskStateStore())
    assert operator.execute(context)["source_model_package_arn"] == package
    # A retry does not promote what was trained meanwhile; a clear does.
    newer = execute(runtimes, path)
    assert operator.execute(context)["source_model_package_arn"] == package
    monkeypatch.setattr(context["ti"], "max_tries", 5)
    assert operator.execute(context)["source_model_package_arn"] == newer


@pytest.mark.thorough
def test_a_folder_and_an_object_in_several_parts_are_copied_exactly(runtimes: dict[str, Endpoint]) -> None:
    dev, prod = client("dev"), client("prod")
    large = bytes(range(256)) * 4096 * 20
    uri = runtimes["dev"].put("dev-tree/a/large.bin", large).removesuffix("a/large.bin")
    runtimes["dev"].put("dev-tree/b.txt", b"b")
    place = f"s3://{runtimes['prod'].bucket}/prod-tree/"
    found = list(artifacts_at(dev, prod, uri, place))
    assert [artifact.target_uri for artifact in found] == [f"{place}a/large.bin", f"{place}b.txt"]
    assert copy_artifact(dev, prod, found[0]) == hashlib.sha256(large).hexdigest()
    assert runtimes["prod"].get(f"{place}a/large.bin") == large
    listed = prod.s3.list_objects_v2(Bucket=runtimes["prod"].bucket, Prefix="prod-tree/")["Contents"]
    assert ["-" in item["ETag"] for item in listed] == [True]
    assert [artifact.is_stored for artifact in artifacts_at(dev, prod, uri, place)] == [True, False]
    with pytest.raises(PromotionError, match=r"b\.txt is not the same as .*read 1 bytes, stored 1"):
        copy_artifact(dev, prod, replace(found[1], size=2))


@pytest.mark.thorough
def test_the_documented_commands_plan_and_promote(
    runtimes: dict[str, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a definition that takes no minute to execute, in the place of the documented one."""
    for conn_id, login in {"AWS_DEFAULT": "DEV", "AWS_PRODUCTION": "PROD"}.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id}", os.environ[f"AIRFLOW_CONN_{login}"])
    path = tmp_path / "dags" / "definitions" / "abalone.json"
    path.parent.mkdir(parents=True)
    shutil.copy(write(tmp_path), path)
    upserted = upsert_pipeline(client("dev"), Envelope.load(path))
    runtimes["dev"].wait(runtimes["dev"].start(upserted.pipeline_name))
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("promotion.md", "sh")
    for program, *arguments in map(shlex.split, block.splitlines()):
        assert program == "sagemaker-pipelines"
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    name = Envelope.load(path).name
    assert client("prod").describe_pipeline(f"prod-{name}") is not None


@pytest.mark.thorough
def test_the_promoted_abalone_model_scores_in_the_other_account(
    runtimes: dict[str, Endpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the task of docs/examples/promote.py; the policies allow all of its calls in both accounts."""
    pytest.importorskip("xgboost")  # the tests of the wheel have only what it needs
    for conn_id, login in {"AWS_DEFAULT": "PROMOTER_DEV", "AWS_PRODUCTION": "PROMOTER_PROD"}.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id}", os.environ[f"AIRFLOW_CONN_{login}"])
    (tmp_path / "definitions").symlink_to(ROOT / "dags" / "definitions")
    example = shutil.copy(ROOT / "docs" / "examples" / "promote.py", tmp_path)
    task = runpy.run_path(str(example))["promote"]
    context: Any = {"params": {"ModelPackageArn": None, "ApprovalStatus": "Approved"}}
    task.render_template_fields(context)
    trained, scoring = (ROOT / "dags" / "definitions" / f"{name}.json" for name in ("abalone", "scoring"))
    dev, prod = runtimes["dev"], runtimes["prod"]
    data = split_data(DATA_FILE)
    inputs = {
        "InputData": dev.put("dev-data/abalone.csv", data["train/abalone.csv"]),
        "BatchData": dev.put("dev-data/holdout.csv", data["holdout/holdout.csv"]),
        "ModelApprovalStatus": "Approved",
    }
    upserted = upsert_pipeline(client("dev"), Envelope.load(trained))
    assert dev.wait(dev.start(upserted.pipeline_name, inputs))["PipelineExecutionStatus"] == "Succeeded"
    result = task.execute(context)
    recorded = {
        name: set(runtimes[name]._control("GET", "calls")["by_access_key"][f"promoter_{name}"])
        for name in runtimes
    }
    assert recorded["dev"] - allowed_actions("promotion-source") == set()
    assert recorded["prod"] - allowed_actions("promotion-target") == set()
    scores = upsert_pipeline(client("prod"), Envelope.load(scoring))
    output = f"s3://{prod.bucket}/prod-scores"
    parameters = {
        "ModelPackageArn": result["model_package_arn"],
        "BatchData": prod.put("prod-data/holdout.csv", data["holdout/holdout.csv"]),
        "OutputPrefix": output,
    }
    arn = prod.start(scores.pipeline_name, parameters)
    assert prod.wait(arn)["PipelineExecutionStatus"] == "Succeeded", prod.steps(arn)
    predictions = prod.get(f"{output}/predictions/holdout.csv.out").decode().split()
    assert len(predictions) == data["holdout/holdout.csv"].count(b"\n")
