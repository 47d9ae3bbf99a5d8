"""Who calls the runtime, and what its IAM knows from the start."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.account import new_client
from sagemaker_local_runtime.testing import LocalRuntime

FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"


def caller(runtime: LocalRuntime, *, access_key: str) -> str:
    sts = new_client("sts", runtime.endpoint_url, "us-east-1", access_key=access_key)
    arn: str = sts.get_caller_identity()["Arn"]
    sts.close()
    return arn


def test_any_credentials_are_those_of_the_execution_role(local_runtime: LocalRuntime) -> None:
    identity = local_runtime.client("sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    assert identity["Arn"] == ("arn:aws:sts::123456789012:assumed-role/SageMakerExecutionRole/local-runtime")
    role = local_runtime.client("iam").get_role(RoleName="SageMakerExecutionRole")["Role"]
    assert role["Arn"] == local_runtime.role_arn
    assert identity["UserId"].startswith(role["RoleId"])
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]}


def test_a_user_and_an_assumed_role_of_the_account_stay_who_they_are(local_runtime: LocalRuntime) -> None:
    iam = local_runtime.client("iam")
    user = iam.create_user(UserName="anna")["User"]["Arn"]
    key = iam.create_access_key(UserName="anna")["AccessKey"]["AccessKeyId"]
    assert caller(local_runtime, access_key=key) == user
    role = iam.create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps({}))["Role"]["Arn"]
    assumed = local_runtime.client("sts").assume_role(RoleArn=role, RoleSessionName="session")
    key = assumed["Credentials"]["AccessKeyId"]
    assert caller(local_runtime, access_key=key) == assumed["AssumedRoleUser"]["Arn"]


def test_aws_managed_policies_can_be_attached_and_listed(local_runtime: LocalRuntime) -> None:
    iam = local_runtime.client("iam")
    allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    own = iam.create_policy(PolicyName="own", PolicyDocument=document)
    for arn in (FULL_ACCESS, own["Policy"]["Arn"]):
        iam.attach_role_policy(RoleName="SageMakerExecutionRole", PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName="SageMakerExecutionRole")["AttachedPolicies"]
    assert {policy["PolicyArn"] for policy in attached} == {FULL_ACCESS, own["Policy"]["Arn"]}
    names = [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]]
    assert names == ["own"]


def test_a_policy_that_aws_does_not_have_is_refused(local_runtime: LocalRuntime) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        local_runtime.client("iam").attach_role_policy(
            RoleName="SageMakerExecutionRole", PolicyArn="arn:aws:iam::aws:policy/Nothing"
        )
