from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from stack.bootstrap import bootstrap, client
from stack.doctor import Account, Doctor, Finding
from stack.settings import StackSettings


@pytest.fixture
def account(settings: StackSettings) -> Account:
    return Account(
        bucket=settings.bucket,
        role_arn=settings.role_arn,
        data_uris=(f"s3://{settings.bucket}/abalone/data/train/abalone.csv",),
        topic_arn=settings.topic_arn,
    )


def examine(settings: StackSettings, account: Account) -> dict[str, Finding]:
    return {f.name: f for f in Doctor(lambda service: client(settings, service), account).examine()}


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
    bootstrap(settings)
    found = examine(settings, account)
    for name in ("connection", "role", "bucket", "data", "topic", "SageMaker"):
        assert found[name].state == "ok", found[name]


def test_a_role_that_sagemaker_may_not_assume_is_found(settings: StackSettings, account: Account) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Principal": {"Service": "ec2.amazonaws.com"}}]}
    iam = client(settings, "iam")
    iam.create_role(RoleName="SageMakerExecutionRole", AssumeRolePolicyDocument=json.dumps(trust))
    assert examine(settings, account)["role"].text == f"SageMaker may not assume {settings.role_arn}"


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
        made = client(settings, service)
        made.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
        return made

    list(Doctor(recording, account).examine())
    assert calls
    assert {c for c in calls if not c.startswith(("Get", "List", "Head", "Describe", "Simulate"))} == set()


def test_a_denied_action_is_named(settings: StackSettings, account: Account) -> None:
    class Iam:
        def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
            denied = "sagemaker:StartPipelineExecution"
            return {
                "EvaluationResults": [
                    {"EvalActionName": a, "EvalDecision": "implicitDeny" if a == denied else "allowed"}
                    for a in request["ActionNames"]
                ]
            }

    doctor = Doctor(lambda service: Iam() if service == "iam" else client(settings, service), account)
    finding = doctor._permissions()
    assert finding.state == "missing"
    assert finding.text.endswith("may not sagemaker:StartPipelineExecution")
