from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from sagemaker_pipelines.cli.checks import Account, Doctor, Finding
from sagemaker_pipelines.cli.doctor import named_in
from sagemaker_pipelines.cli.policy import FUNCTIONS_POLICY, Names, statements
from stack.bootstrap import bootstrap
from stack.settings import ROOT, StackSettings
from tests.e2e.mirrors.step_types import BEST, write
from tests.iam import allowed_actions


@pytest.fixture
def account(settings: StackSettings) -> Account:
    return Account(
        bucket=settings.bucket,
        role_arn=settings.role_arn,
        data_uris=(f"s3://{settings.bucket}/abalone/data/train/abalone.csv",),
        topic_arn=settings.topic_arn,
    )


def create_role(settings: StackSettings, name: str, service: str) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Principal": {"Service": f"{service}.amazonaws.com"}}]}
    iam = settings.target.boto3_client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))


def fill(settings: StackSettings) -> None:
    """Create what a local runtime has; the account here is one of plain moto."""
    bootstrap(settings)
    create_role(settings, "SageMakerExecutionRole", "sagemaker")


def examine(settings: StackSettings, account: Account) -> dict[str, Finding]:
    return {f.name: f for f in Doctor(settings.target.boto3_client, account).examine()}


def test_an_empty_account_lacks_role_bucket_data_and_topic_and_each_has_a_cure(
    settings: StackSettings, account: Account
) -> None:
    found = examine(settings, account)
    assert found["connection"].state == "ok"
    for name in ("role", "bucket", "data", "topic"):
        assert found[name].state == "missing", name
        assert found[name].cure, name
    assert found["bucket"].cure == f"aws s3 mb s3://{settings.bucket} --region us-east-1"


def test_a_bootstrapped_account_has_everything(settings: StackSettings, account: Account) -> None:
    fill(settings)
    found = examine(settings, account)
    for name in ("connection", "role", "bucket", "data", "topic", "SageMaker"):
        assert found[name].state == "ok", found[name]


def test_a_folder_of_data_is_not_found_by_the_beginning_of_its_name(
    settings: StackSettings, account: Account
) -> None:
    fill(settings)
    s3 = settings.target.boto3_client("s3")
    s3.put_object(Bucket=settings.bucket, Key="m=10/rows.csv", Body=b"1,2\n")
    for uri, state in (("m=1", "missing"), ("m=10", "ok"), ("m=10/", "ok"), ("m=10/rows.csv", "ok")):
        asked = replace(account, data_uris=(f"s3://{settings.bucket}/{uri}",))
        assert examine(settings, asked)["data"].state == state, uri


def test_code_and_images_of_plain_definitions_are_checked(settings: StackSettings, account: Account) -> None:
    fill(settings)
    uri = f"s3://{settings.bucket}/code/run.py"
    image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    asked = replace(account, code_uris=(uri,), image_uris=(image,))
    found = examine(settings, asked)
    assert (found["code"].state, found["code"].text) == ("missing", f"there is nothing at {uri}")
    assert (found["image"].state, found["image"].text) == (
        "missing",
        f"{image} is in eu-west-1, but the region of the connection is us-east-1",
    )
    settings.target.boto3_client("s3").put_object(Bucket=settings.bucket, Key="code/run.py", Body=b"1")
    found = examine(settings, replace(asked, image_uris=(image.replace("eu-west-1", "us-east-1"),)))
    assert (found["code"].state, found["image"].state) == ("ok", "ok")


def test_what_plain_definitions_name_is_found_beside_compiled_ones(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dags" / "definitions", tmp_path, dirs_exist_ok=True)
    shutil.copy(ROOT / "tests" / "projects" / "sdk_v2" / "churn.json", tmp_path)
    values = {"artifact_bucket": "ml", "role_arn": "arn:aws:iam::1:role/r", "name_prefix": ""}
    named = named_in(tmp_path, values, region="eu-west-1")
    assert "s3://ml/abalone/data/train/abalone.csv" in named["data_uris"]
    assert [uri.rpartition("/")[2] for uri in named["code_uris"]] == ["preprocess.py", "evaluate.py"]
    assert [uri.rpartition("/")[2] for uri in named["image_uris"]] == [
        "sagemaker-scikit-learn:1.2-1-cpu-py3",
        "sagemaker-xgboost:1.7-1",
    ]


def test_the_roles_of_the_functions_that_definitions_deploy_are_found(tmp_path: Path) -> None:
    write(tmp_path / "tuned.json", BEST)
    role = "arn:aws:iam::111122223333:role/r"
    values = {"artifact_bucket": "ml", "role_arn": role, "name_prefix": "", "account_id": "111122223333"}
    assert named_in(tmp_path, values, region="eu-west-1")["function_role_arns"] == (role,)


def test_a_role_that_sagemaker_may_not_assume_is_found(settings: StackSettings, account: Account) -> None:
    create_role(settings, "SageMakerExecutionRole", "ec2")
    assert examine(settings, account)["role"].text == f"SageMaker may not assume {settings.role_arn}"


def test_the_role_of_a_function_has_to_be_one_that_lambda_may_assume(
    settings: StackSettings, account: Account
) -> None:
    fill(settings)
    asked = replace(account, function_role_arns=(settings.role_arn,))
    found = examine(settings, asked)
    assert (found["role"].state, found["function role"].state) == ("ok", "missing")
    assert found["function role"].text == f"Lambda may not assume {settings.role_arn}"
    create_role(settings, "functions", "lambda")
    arn = f"arn:aws:iam::{settings.account_id}:role/functions"
    assert examine(settings, replace(account, function_role_arns=(arn,)))["function role"].state == "ok"


def test_who_deploys_functions_needs_more_permissions(settings: StackSettings, account: Account) -> None:
    asked_for = replace(account, function_role_arns=("arn:aws:iam::1:role/functions",))
    finding, asked = permissions(settings, asked_for)
    assert finding.state == "ok"
    assert asked == allowed_actions("airflow") | allowed_actions("airflow-functions")
    finding, _ = permissions(settings, asked_for, denied="lambda:CreateFunction")
    assert finding.text.endswith("may not lambda:CreateFunction")
    assert "airflow-functions.json" in finding.cure


def test_without_credentials_nothing_else_is_asked(account: Account) -> None:
    asked: list[str] = []

    def no_credentials(service: str) -> Any:
        asked.append(service)
        raise NoCredentialsError

    (finding,) = Doctor(no_credentials, account).examine()
    assert finding.state == "missing"
    assert "credentials" in finding.cure
    assert asked == ["sts"]


def test_only_read_only_calls_are_made(settings: StackSettings, account: Account) -> None:
    calls: list[str] = []

    def recording(service: str) -> Any:
        made = settings.target.boto3_client(service)
        made.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
        return made

    list(Doctor(recording, account).examine())
    assert calls
    assert {c for c in calls if not c.startswith(("Get", "List", "Head", "Describe", "Simulate"))} == set()


class Iam:
    """IAM that grants the caller docs/iam/airflow*.json with the account's names, but for one action.

    :param names: the account's, and the same with the role of each function.
    """

    def __init__(self, names: list[Names], denied: str | None) -> None:
        self.granted = [
            *statements(names=names[0]),
            *(found for role in names[1:] for found in statements(FUNCTIONS_POLICY, names=role)),
        ]
        self.denied = denied
        self.asked: set[str] = set()

    def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
        context = {entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in request["ContextEntries"]}
        (resource,) = request["ResourceArns"]
        self.asked |= set(request["ActionNames"])
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalDecision": "allowed" if self._allows(action, resource, context) else "implicitDeny",
                }
                for action in request["ActionNames"]
            ]
        }

    def _allows(self, action: str, resource: str, context: dict[str, list[str]]) -> bool:
        return action != self.denied and any(
            action in granted["Action"]
            and any(fnmatchcase(resource, pattern) for pattern in granted["Resource"])
            and all(
                fnmatchcase(
                    context.get(key, ["none"])[0], pattern if isinstance(pattern, str) else pattern[0]
                )
                for condition in granted.get("Condition", {}).values()
                for key, pattern in condition.items()
            )
            for granted in self.granted
        )


cached_client = cache(lambda settings, service: settings.target.boto3_client(service))


def permissions(
    settings: StackSettings, account: Account, denied: str | None = None
) -> tuple[Finding, set[str]]:
    example = Names(
        partition="aws",
        account_id=settings.account_id,
        region=settings.region,
        bucket=account.bucket,
        name_prefix=account.name_prefix,
        role_arn=account.role_arn,
        topic_arn=account.topic_arn or "",
    )
    names = [example, *(replace(example, role_arn=role) for role in account.function_role_arns)]
    iam = Iam(names, denied)
    clients = {"iam": iam, **{service: cached_client(settings, service) for service in ("sts", "s3")}}
    doctor = Doctor(clients.__getitem__, account)
    return doctor._permissions(), iam.asked


@pytest.mark.parametrize("name_prefix", ["", "prod-"])
def test_whoever_has_the_policy_of_the_documentation_has_all_permissions(
    settings: StackSettings, account: Account, name_prefix: str
) -> None:
    finding, asked = permissions(settings, replace(account, name_prefix=name_prefix, bucket="dev-bucket"))
    assert finding.state == "ok"
    assert asked == allowed_actions("airflow")


def test_each_action_of_the_policy_that_is_denied_is_named(settings: StackSettings, account: Account) -> None:
    for action in sorted(allowed_actions("airflow")):
        finding, _ = permissions(settings, account, denied=action)
        assert finding.state == "missing"
        assert finding.text.endswith(f"may not {action}")
        assert "docs/iam/airflow.json" in finding.cure


def test_without_a_topic_nobody_has_to_publish(settings: StackSettings, account: Account) -> None:
    finding, asked = permissions(settings, replace(account, topic_arn=None), denied="sns:Publish")
    assert finding.state == "ok"
    assert "sns:Publish" not in asked
