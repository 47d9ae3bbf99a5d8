"""The policies in docs/iam/: every call of the package is allowed, and no more than it needs.

The end-to-end tests compare them with what Airflow really called; here are also the calls of paths that
they do not take, read from the source.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from policy_sentry.querying.actions import get_action_data

from sagemaker_pipelines.definition import Envelope, iter_steps
from stack.settings import ROOT
from tests.iam import POLICIES, allowed_actions, statements

NAMES = sorted(path.stem for path in POLICIES.glob("*.json"))
PERMISSIONS = [name for name in NAMES if not name.endswith("-trust")]
# S3 names a permission otherwise than the operation that needs it.
S3_ACTIONS = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket"}
# What IAM checks with another call, and the call that the provider's notifier makes for ours.
BEHIND = {"iam:PassRole", "sns:Publish"}
# https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html
STEP_ACTIONS = {
    "Processing": {"CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob"},
    "Training": {"CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob"},
    "Transform": {"CreateTransformJob", "DescribeTransformJob", "StopTransformJob"},
    "Model": {"CreateModel"},
    "RegisterModel": {"CreateModelPackage", "CreateModelPackageGroup", "DescribeModelPackage"},
    "Condition": set(),
    "Fail": set(),
}


@cache
def operations() -> dict[str, set[str]]:
    """For each boto3 method of the services that the package calls, the actions it may be."""
    session = botocore.session.get_session()
    found: dict[str, set[str]] = {}
    for service in ("sagemaker", "s3", "logs", "sns"):
        for operation in session.get_service_model(service).operation_names:
            action = S3_ACTIONS.get(operation, operation) if service == "s3" else operation
            found.setdefault(xform_name(operation), set()).add(f"{service}:{action}")
    return found


def called(source: str) -> Iterator[str]:
    """Return the names in a source that may be methods of a client: called, or named by a text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def source_calls() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in (ROOT / "plugins" / "sagemaker_pipelines").rglob("*.py"):
        if path.name == "checks.py":  # the doctor's, whom a person runs
            continue
        for name in set(called(path.read_text())) & operations().keys():
            if "_" not in name:  # `search` is a regular expression's method here
                continue
            found[name] = operations()[name]
    return found


def test_every_call_in_the_package_is_allowed() -> None:
    calls = source_calls()
    assert {"start_pipeline_execution", "stop_pipeline_execution", "get_object", "add_tags"} <= calls.keys()
    for name, actions in calls.items():
        assert actions & allowed_actions("airflow"), f"{name}: docs/iam/airflow.json allows none of {actions}"


def test_airflow_may_do_nothing_that_no_call_needs() -> None:
    needed = set().union(*source_calls().values()) | BEHIND
    assert allowed_actions("airflow") - needed == set()


@pytest.mark.parametrize("path", sorted((ROOT / "dags" / "definitions").glob("*.json")), ids=lambda p: p.stem)
def test_the_execution_role_may_run_every_step_of_the_compiled_definitions(path: Any) -> None:
    allowed = allowed_actions("sagemaker-execution")
    for step in iter_steps(Envelope.load(path).definition):
        for action in STEP_ACTIONS[step["Type"]]:
            assert f"sagemaker:{action}" in allowed, (step["Name"], action)


def test_no_job_may_write_what_an_upsert_has_written() -> None:
    """A job runs code of the definition's author; the next execution would run what it put there."""
    envelope = Envelope.load(ROOT / "dags" / "definitions" / "abalone.json")
    written = [
        *(asset.key("dev-") for asset in envelope.assets),
        "dev-sagemaker-pipelines-environment.json",
        f"dev-{envelope.name}/definitions/0123abcd.json",
    ]
    (denied,) = [s for s in statements("sagemaker-execution") if s["Effect"] == "Deny"]
    assert {"s3:PutObject", "s3:DeleteObject"} <= set(denied["Action"])
    for key in written:
        arn = f"arn:aws:s3:::example-ml-artifacts/{key}"
        assert any(fnmatchcase(arn, resource) for resource in denied["Resource"]), key


def test_an_action_that_is_only_denied_is_not_allowed(tmp_path: Any) -> None:
    statement = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    (tmp_path / "one.json").write_text(json.dumps({"Statement": [statement]}))
    assert allowed_actions("one", folder=tmp_path) == set()


def test_a_missing_permission_is_seen(tmp_path: Any) -> None:
    text = (POLICIES / "airflow.json").read_text()
    (tmp_path / "airflow.json").write_text(text.replace("sagemaker:StopPipelineExecution", "sagemaker:Other"))
    calls = source_calls()["stop_pipeline_execution"]
    assert not calls & allowed_actions("airflow", folder=tmp_path)


@pytest.mark.parametrize("name", PERMISSIONS)
def test_no_action_has_a_wildcard(name: str) -> None:
    assert not {action for action in allowed_actions(name) if "*" in action}


@pytest.mark.parametrize("name", PERMISSIONS)
def test_every_action_exists_and_takes_the_resources_that_it_is_given(name: str) -> None:
    """Against AWS's service authorization reference, as policy-sentry ships it."""
    for statement in statements(name):
        used: set[str] = set()
        for action in statement["Action"]:
            service, _, operation = action.partition(":")
            known = get_action_data(service, operation)
            assert known, f"AWS has no action {action}"
            forms = {entry["resource_arn_format"] for entry in known[service]}
            fitting = {r for r in statement["Resource"] if any(fits(r, form) for form in forms)}
            assert fitting, f"{action} takes {sorted(forms)}, not {statement['Resource']}"
            used |= fitting
        assert used == set(statement["Resource"])


def fits(resource: str, form: str) -> bool:
    """Return whether a resource, which may hold wildcards, is of the form of a resource type."""
    if "*" in (resource, form):
        return resource == form
    pattern = re.sub(r"\\\$\\\{\w+\\\}", "[^:]+", re.escape(form))
    return re.fullmatch(pattern, resource) is not None


@pytest.mark.parametrize("name", PERMISSIONS)
def test_all_resources_are_meant_only_where_an_action_knows_no_others(name: str) -> None:
    for statement in statements(name):
        if statement["Resource"] == ["*"]:
            for action in statement["Action"]:
                service, _, operation = action.partition(":")
                forms = {
                    entry["resource_arn_format"] for entry in get_action_data(service, operation)[service]
                }
                assert forms == {"*"}, action


@pytest.mark.parametrize("name", ["airflow", "sagemaker-execution"])
def test_two_environments_of_one_account_have_disjoint_permissions(name: str) -> None:
    """What an environment owns stands below its name prefix; jobs have names that SageMaker gives."""
    for statement in statements(name):
        for resource in statement["Resource"]:
            kind = resource.split(":", 5)[-1]
            if re.match(r"(pipeline|model-package|model-package-group)/|example-ml-artifacts/", kind):
                assert re.match(r"[\w-]+/dev-", kind), resource


def test_a_role_is_passed_to_sagemaker_alone() -> None:
    for name in ("airflow", "sagemaker-execution"):
        (passing,) = [s for s in statements(name) if s["Action"] == ["iam:PassRole"]]
        assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-trust")])
def test_a_role_is_assumed_under_a_condition(name: str) -> None:
    (statement,) = statements(name)
    assert statement["Action"] == ["sts:AssumeRole"]
    assert statement["Condition"]
