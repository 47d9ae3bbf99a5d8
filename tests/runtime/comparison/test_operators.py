"""The operators of a comparison, against a real registry and S3; nothing is executed here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.champion import ModelPackage
from sagemaker_pipelines.aws.comparison import Comparison
from sagemaker_pipelines.operators import comparison
from sagemaker_pipelines.operators.comparison import (
    SageMakerCheckChampionOperator,
    SageMakerCompareModelsOperator,
    SageMakerFindChampionOperator,
)
from sagemaker_pipelines.states import PENDING
from tests.runtime.engine.test_real_jobs import XGBOOST
from tests.unit.sagemaker_pipelines.samples import TaskInstance, TaskStateStore, context_of

TRANSFORM = {"format": 1, "columns": [{"column": {"name": "sex"}}, {"column": {"name": "length"}}]}
LOCATION = {"model_package_group_name": "{name_prefix}abalone", "holdout": "s3://{artifact_bucket}/held/"}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0))
    yield runtime
    runtime.close()


@pytest.fixture(autouse=True)
def connection(runtime: LocalRuntime, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A connection whose prefix, and so whose group, belongs to one test."""
    prefix = f"t{abs(hash(request.node.name)) % 10**9}-"
    sagemaker = {"artifact_bucket": runtime.bucket, "role_arn": runtime.role_arn, "name_prefix": prefix}
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": sagemaker},
    }
    connection = {"conn_type": "aws", "login": "test", "password": "test-password", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    return prefix


@pytest.fixture
def branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a scheduled task can skip others; what it follows is also what it returns."""
    for kind in (SageMakerFindChampionOperator, SageMakerCompareModelsOperator):
        monkeypatch.setattr(kind, "do_branch", lambda _self, _context, followed: followed)


def register(
    runtime: LocalRuntime, prefix: str, status: str = "Approved", *, transform: bool = True, **container: Any
) -> str:
    """Register a package, and return its ARN."""
    sagemaker, group = runtime.client("sagemaker"), f"{prefix}abalone"
    groups = sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    if not groups:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    model = {"Image": XGBOOST, "ModelDataUrl": runtime.put("model.tar.gz", b"model"), **container}
    uri = runtime.put("transform.json", json.dumps(TRANSFORM).encode())
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus=status,
        InferenceSpecification={"Containers": [model], "SupportedContentTypes": ["text/csv"]},
        **({"CustomerMetadataProperties": {"feature_transform": uri}} if transform else {}),
    )
    return str(answer["ModelPackageArn"])


def check() -> Any:
    return SageMakerCheckChampionOperator(task_id="check", **LOCATION).execute({})


def find(challenger: str, instance: TaskInstance | None = None) -> Any:
    operator = SageMakerFindChampionOperator(
        task_id="find", challenger=challenger, compare=["compare"], without_champion=["none"], **LOCATION
    )
    return operator.execute(context_of(TaskStateStore(), ti=instance))


def test_a_group_that_does_not_exist_yet_has_no_champion(runtime: LocalRuntime) -> None:
    runtime.put("held/rows.csv", b"F,0.3,9\n")
    assert check() is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"F,0.3\n", r"has 2 columns and ends with '0.3'; expected 3 columns \(sex, length, the label\)"),
        (b"F,0.3,old\n", "ends with 'old'"),
        (b"sex,length,rings\n", "ends with 'rings'; .* and no header"),
        (b"\n", "has 1 columns"),
    ],
)
def test_a_holdout_without_labels_is_refused(
    runtime: LocalRuntime, connection: str, row: bytes, message: str
) -> None:
    runtime.put("held/rows.csv", row)
    register(runtime, connection)
    with pytest.raises(AirflowFailException, match=message):
        check()


def test_a_holdout_that_is_missing_is_named(runtime: LocalRuntime, connection: str) -> None:
    operator = SageMakerCheckChampionOperator(
        task_id="check", model_package_group_name="{name_prefix}abalone", holdout="s3://{artifact_bucket}/no/"
    )
    with pytest.raises(AirflowFailException, match=f"holdout = s3://{runtime.bucket}/no/"):
        operator.execute({})


def test_the_champion_is_the_newest_approved_package(
    runtime: LocalRuntime, connection: str, branches: None
) -> None:
    runtime.put("held/rows.csv", b"F,0.3,9\n")
    register(runtime, connection)
    champion = register(runtime, connection)
    register(runtime, connection, "Rejected")
    challenger = register(runtime, connection, "PendingManualApproval")
    assert check() == champion
    instance = TaskInstance()
    assert find(challenger, instance) == ["compare"]
    transform = f"s3://{runtime.bucket}/transform.json"
    model = f"s3://{runtime.bucket}/model.tar.gz"
    assert instance.pushed["models"] == {
        "Holdout": f"s3://{runtime.bucket}/held/",
        "ChallengerPackageArn": challenger,
        "ChallengerImage": XGBOOST,
        "ChallengerModelDataUrl": model,
        "ChallengerTransform": transform,
        "ChampionPackageArn": champion,
        "ChampionImage": XGBOOST,
        "ChampionModelDataUrl": model,
        "ChampionTransform": transform,
    }


def test_a_package_without_a_transform_takes_the_rows_as_they_are(
    runtime: LocalRuntime, connection: str, branches: None
) -> None:
    runtime.put("held/rows.csv", b"0.1,0.3,0.4,9\n")
    register(runtime, connection, transform=False)
    instance = TaskInstance()
    find(register(runtime, connection, "PendingManualApproval", transform=False), instance)
    assert instance.pushed["models"]["ChallengerTransform"] == "none"


def test_without_a_champion_nothing_is_compared(
    runtime: LocalRuntime, connection: str, branches: None
) -> None:
    instance = TaskInstance()
    assert find(register(runtime, connection, "PendingManualApproval"), instance) == ["none"]
    assert instance.pushed == {}


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_a_challenger_that_was_decided_meanwhile_is_not_compared(
    runtime: LocalRuntime, connection: str, status: str
) -> None:
    register(runtime, connection)
    with pytest.raises(AirflowFailException, match=f"has become {status} meanwhile"):
        find(register(runtime, connection, status))


def test_a_challenger_that_was_deleted_is_named(runtime: LocalRuntime, connection: str) -> None:
    challenger = register(runtime, connection, "PendingManualApproval")
    runtime.client("sagemaker").delete_model_package(ModelPackageName=challenger)
    with pytest.raises(AirflowFailException, match=f"{challenger} does not exist"):
        find(challenger)


def test_a_challenger_that_is_older_than_the_champion_is_not_compared(
    runtime: LocalRuntime, connection: str
) -> None:
    """It could win and be approved, but the champion is the newest Approved package."""
    runtime.put("held/rows.csv", b"F,0.3,9\n")
    challenger = register(runtime, connection, "PendingManualApproval")
    champion = register(runtime, connection)
    with pytest.raises(AirflowFailException, match=f"champion is {champion} now, which is newer"):
        find(challenger)


def test_the_group_of_a_challenger_is_not_read_from_its_arn(
    runtime: LocalRuntime, connection: str, branches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS writes the name of an older group in lower case there, such as model-package/mymodels/1."""
    group = f"{connection}abalone"
    package = ModelPackage(
        arn="arn:aws:sagemaker:us-east-1:1:model-package/other/1", group=group, version=1, status=PENDING
    )
    monkeypatch.setattr(comparison, "read_model_package", lambda client, arn: package)
    assert find(package.arn) == ["none"]


def test_a_challenger_of_another_group_is_refused(runtime: LocalRuntime, connection: str) -> None:
    other = register(runtime, f"{connection}other-")
    with pytest.raises(AirflowFailException, match=f"does not belong to the group '{connection}abalone'"):
        find(other)


def test_a_model_with_an_environment_is_refused(runtime: LocalRuntime, connection: str) -> None:
    runtime.put("held/rows.csv", b"F,0.3,9\n")
    register(runtime, connection, Environment={"SAGEMAKER_PROGRAM": "inference.py"})
    with pytest.raises(
        AirflowFailException, match=r"\['Environment', 'Image', 'ModelDataUrl'\].*expected one"
    ):
        check()


def test_a_model_that_is_named_by_its_address_is_refused_before_the_training(
    runtime: LocalRuntime, connection: str
) -> None:
    """The parameters of the comparison accept S3 URIs only."""
    runtime.put("held/rows.csv", b"F,0.3,9\n")
    register(runtime, connection, ModelDataUrl="https://bucket.s3.amazonaws.com/model.tar.gz")
    with pytest.raises(AirflowFailException, match="with ModelDataUrl as an S3 URI"):
        check()


def test_a_first_model_wins_by_its_threshold(branches: None) -> None:
    gate = {
        "metric": "auc",
        "value": 0.9,
        "threshold": 0.8,
        "model_package_arn": "arn:package/1",
        "report_uri": "s3://bucket/evaluation.json",
    }
    operator = SageMakerCompareModelsOperator(
        task_id="compare",
        gate=gate,
        pipeline_execution_arn=None,
        larger_is_better=True,
        margin=0.01,
        won=["won"],
        lost=["lost"],
    )
    instance = TaskInstance()
    assert operator.execute(context_of(TaskStateStore(), ti=instance)) == ["won"]
    found = Comparison.from_document(instance.pushed["comparison"])
    assert (found.wins, found.champion, found.challenger.value) == (True, None, 0.9)
    assert found.reason == "there is no champion yet; auc 0.9 passed the threshold 0.8"
