"""The checks of ``doctor``: read-only calls that say what an AWS account lacks, and how to get it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sagemaker_pipelines.aws.errors import is_denied
from sagemaker_pipelines.aws.objects import stored_objects
from sagemaker_pipelines.cli.policy import AIRFLOW_POLICY, FUNCTIONS_POLICY, Names, statements
from sagemaker_pipelines.definition.resources import EcrImage

State = Literal["ok", "missing", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Account:
    """What an account should have.

    :param bucket: the artifact bucket.
    :param role_arn: the execution role of pipelines and jobs.
    :param data_uris: S3 URIs of objects or prefixes that the pipelines read.
    :param code_uris: S3 URIs of code that is not uploaded with the definitions.
    :param image_uris: images in ECR that the definitions name literally.
    :param function_role_arns: the roles of the Lambda functions that the definitions deploy.
    :param topic_arn: the SNS topic of the notifications; None disables them.
    :param name_prefix: the prefix of pipelines and model package groups; may be empty.
    :param policies: the files of the policies whose actions the caller needs.
    """

    bucket: str
    role_arn: str
    name_prefix: str = ""
    data_uris: tuple[str, ...] = ()
    code_uris: tuple[str, ...] = ()
    image_uris: tuple[str, ...] = ()
    function_role_arns: tuple[str, ...] = ()
    topic_arn: str | None = None
    policies: tuple[Path, ...] = (AIRFLOW_POLICY,)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    :param name: what was checked.
    :param state: ``"ok"``, ``"missing"``, or ``"unknown"`` if the caller may not look.
    :param text: what was seen.
    :param cure: what to do; empty if nothing is wrong.
    """

    name: str
    state: State
    text: str
    cure: str = ""


@dataclass(frozen=True)
class _RoleUser:
    """A service that assumes a role: its name, its principal, the check, and the policy of a new role."""

    service: str
    principal: str
    check: str
    policy: str


_SAGEMAKER = _RoleUser(
    "SageMaker",
    "sagemaker.amazonaws.com",
    "role",
    "AmazonSageMakerFullAccess and with access to the bucket",
)
_LAMBDA = _RoleUser("Lambda", "lambda.amazonaws.com", "function role", "AWSLambdaBasicExecutionRole")


class Doctor:
    """Check one account.

    :param client: makes a boto3 client for a service's name.
    :param account: what should be there.
    """

    def __init__(self, client: Callable[[str], Any], account: Account) -> None:
        self._client = client
        self._account = account

    def examine(self) -> Iterator[Finding]:
        """Make every check; without valid credentials, only the first."""
        identity = self._guard("connection", self._connection)
        yield identity
        if identity.state != "ok":
            return
        yield self._guard("role", partial(self._role, _SAGEMAKER, self._account.role_arn))
        for arn in self._account.function_role_arns:
            yield self._guard(_LAMBDA.check, partial(self._role, _LAMBDA, arn))
        yield self._guard("bucket", self._bucket)
        for uri in self._account.data_uris:
            yield self._guard("data", partial(self._data, uri))
        for uri in self._account.code_uris:
            yield self._guard("code", partial(self._code, uri))
        for uri in self._account.image_uris:
            yield self._guard("image", partial(self._image, uri))
        if self._account.topic_arn:
            yield self._guard("topic", self._topic)
        yield self._guard("SageMaker", self._sagemaker)
        yield self._guard("permissions", self._permissions)

    def _guard(self, name: str, check: Callable[[], Finding]) -> Finding:
        try:
            return check()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            text = f"{error.operation_name}: {code}: {error.response['Error'].get('Message', '')}"
            cure = f"allow the caller to call {error.operation_name}" if is_denied(error) else ""
            return Finding(name=name, state="unknown", text=text, cure=cure or "see the message of AWS")
        except ResponseParserError:
            text = "the endpoint does not support this call, AWS does"
            return Finding(name=name, state="unknown", text=text, cure="check it in the AWS account")
        except BotoCoreError as error:
            cure = "set the credentials, the region and, if needed, the endpoint in the Airflow connection"
            return Finding(name=name, state="missing", text=str(error), cure=cure)

    def _connection(self) -> Finding:
        try:
            identity = self._client("sts").get_caller_identity()
        except ClientError as error:
            cure = "renew the credentials of the Airflow connection"
            return Finding(name="connection", state="missing", text=str(error), cure=cure)
        return Finding(name="connection", state="ok", text=f"calls are made as {identity['Arn']}")

    def _role(self, user: _RoleUser, arn: str) -> Finding:
        try:
            role = self._client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise
            cure = f"create it with {user.policy}"
            return Finding(name=user.check, state="missing", text=f"{arn} does not exist", cure=cure)
        document = role["AssumeRolePolicyDocument"]
        trust = json.loads(unquote(document)) if isinstance(document, str) else document
        if user.principal not in json.dumps(trust):
            cure = f"add {user.principal} as a principal of sts:AssumeRole to its trust policy"
            text = f"{user.service} may not assume {arn}"
            return Finding(name=user.check, state="missing", text=text, cure=cure)
        return Finding(name=user.check, state="ok", text=f"{arn}, which {user.service} may assume")

    def _bucket(self) -> Finding:
        name, s3 = self._account.bucket, self._client("s3")
        try:
            found = s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            cure = f"aws s3 mb s3://{name} --region {s3.meta.region_name}"
            return Finding(name="bucket", state="missing", text=f"{name} does not exist", cure=cure)
        if found and found != s3.meta.region_name:
            text = f"{name} is in {found}, but the region of the connection is {s3.meta.region_name}"
            return Finding(name="bucket", state="missing", text=text, cure="use a bucket in the same region")
        return Finding(name="bucket", state="ok", text=name)

    def _data(self, uri: str) -> Finding:
        cure = f"aws s3 cp FILE.csv {uri}, or pass the URI of your data as a parameter"
        for entry in stored_objects(self._client("s3"), uri, page_size=1):
            return Finding(name="data", state="ok", text=f"{uri} ({entry['Size']:,} bytes)")
        return Finding(name="data", state="missing", text=f"there is nothing at {uri}", cure=cure)

    def _code(self, uri: str) -> Finding:
        if any(stored_objects(self._client("s3"), uri, page_size=1)):
            return Finding(name="code", state="ok", text=uri)
        cure = f"aws s3 cp FILE {uri}, or compile the pipeline, so that its code is uploaded with it"
        return Finding(name="code", state="missing", text=f"there is nothing at {uri}", cure=cure)

    def _image(self, uri: str) -> Finding:
        image, region = EcrImage.of(uri), self._client("s3").meta.region_name
        if image is None or image.region == region:
            return Finding(name="image", state="ok", text=uri)
        text = f"{uri} is in {image.region}, but the region of the connection is {region}"
        cure = "use an image in the same region; `sagemaker-pipelines adopt` does so for AWS's images"
        return Finding(name="image", state="missing", text=text, cure=cure)

    def _topic(self) -> Finding:
        arn = self._account.topic_arn
        try:
            subscribed = self._client("sns").list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NotFound", "NotFoundException"):
                raise
            cure = f"aws sns create-topic --name {str(arn).rpartition(':')[2]}"
            return Finding(name="topic", state="missing", text=f"{arn} does not exist", cure=cure)
        return Finding(name="topic", state="ok", text=f"{arn}, subscriptions: {len(subscribed)}")

    def _sagemaker(self) -> Finding:
        self._client("sagemaker").list_pipelines(MaxResults=1)
        return Finding(name="SageMaker", state="ok", text="answers ListPipelines")

    def _permissions(self) -> Finding:
        """Ask IAM what the caller may do; the simulation needs the ARN of a user or a role."""
        arn = self._client("sts").get_caller_identity()["Arn"]
        caller = _principal(arn)
        _, partition, _, _, account_id, _ = arn.split(":", 5)
        names = Names(
            partition=partition,
            account_id=account_id,
            region=self._client("s3").meta.region_name,
            bucket=self._account.bucket,
            name_prefix=self._account.name_prefix,
            role_arn=self._account.role_arn,
            topic_arn=self._account.topic_arn or "",
        )
        policies = [
            *(statements(path, names=names) for path in self._account.policies),
            *(
                statements(FUNCTIONS_POLICY, names=replace(names, role_arn=role))
                for role in self._account.function_role_arns
            ),
        ]
        denied = [
            action
            for statement in chain.from_iterable(policies)
            if self._account.topic_arn or statement["Action"] != ["sns:Publish"]
            for action in self._denied(caller, statement)
        ]
        more = (FUNCTIONS_POLICY,) if self._account.function_role_arns else ()
        listed = " with ".join(f"docs/iam/{path.name}" for path in (*self._account.policies, *more))
        if denied:
            text = f"{caller} may not {', '.join(dict.fromkeys(denied))}"
            cure = f"allow these actions as {listed} does"
            return Finding(name="permissions", state="missing", text=text, cure=cure)
        text = f"{caller} may do everything that is listed in {listed}"
        return Finding(name="permissions", state="ok", text=text)

    def _denied(self, caller: str, statement: Mapping[str, Any]) -> list[str]:
        """Return the actions of a statement that the caller may not do with any of its resources."""
        allowed = set()
        for resource in statement["Resource"]:
            answer = self._client("iam").simulate_principal_policy(
                PolicySourceArn=caller,
                ActionNames=statement["Action"],
                ResourceArns=[_example(resource)],
                ContextEntries=[
                    {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": _examples(value)}
                    for condition in statement.get("Condition", {}).values()
                    for key, value in condition.items()
                ],
            )
            allowed |= {
                result["EvalActionName"]
                for result in answer["EvaluationResults"]
                if result["EvalDecision"] == "allowed"
            }
        return [action for action in statement["Action"] if action not in allowed]


def _example(pattern: str) -> str:
    """Return a resource that matches the pattern; ``*`` alone means all resources."""
    return pattern if pattern == "*" else pattern.replace("*", "doctor")


def _examples(value: str | list[str]) -> list[str]:
    return [_example(each) for each in ([value] if isinstance(value, str) else value)]


def _principal(arn: str) -> str:
    """Return the ARN of the role for the session of an assumed role, and any other ARN unchanged."""
    if ":assumed-role/" not in arn:
        return arn
    prefix, _, rest = arn.partition(":assumed-role/")
    return f"{prefix.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"
