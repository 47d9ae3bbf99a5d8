"""The policies in docs/iam/: every call of the package is allowed, and no more than it needs.

The end-to-end tests compare them with what Airflow really called; here are also the calls of paths that
they do not take, read from the source.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
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
S3_ACTIONS = {
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    # With the id of a version, as everywhere here.
    "DeleteObject": "DeleteObjectVersion",
}
# What IAM checks with another call, and the call that the provider's notifier makes for ours.
BEHIND = {"iam:PassRole", "s3:AbortMultipartUpload", "sns:Publish"}
# What Airflow's connection needs for features that not every environment uses is in policies of their own.
AIRFLOW = (
    "airflow",
    "airflow-callbacks",
    "airflow-functions",
    "promotion-source",
    "promotion-target",
)
# https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html
STEP_ACTIONS = {
    "Lambda": {"lambda:InvokeFunction"},
    "Processing": {"CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob"},
    "Training": {"CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob"},
    "Transform": {"CreateTransformJob", "DescribeTransformJob", "StopTransformJob"},
    "Model": {"CreateModel"},
    "RegisterModel": {"CreateModelPackage", "CreateModelPackageGroup", "DescribeModelPackage"},
    "Tuning": {
        "CreateHyperParameterTuningJob",
        "CreateTrainingJob",
        "DescribeHyperParameterTuningJob",
        "DescribeTrainingJob",
        "ListTrainingJobsForHyperParameterTuningJob",
        "StopHyperParameterTuningJob",
        "StopTrainingJob",
    },
    "QualityCheck": {
        "CreateProcessingJob",
        "DescribeModelPackage",
        "DescribeProcessingJob",
        "ListModelPackages",
        "StopProcessingJob",
    },
    "EndpointConfig": {"CreateEndpointConfig", "DescribeEndpointConfig"},
    "Endpoint": {"CreateEndpoint", "DescribeEndpoint", "InvokeEndpoint", "UpdateEndpoint"},
    "Condition": set(),
    "Fail": set(),
}


@cache
def operations() -> dict[str, set[str]]:
    """For each boto3 method of the services that the package calls, the actions it may be."""
    session = botocore.session.get_session()
    found: dict[str, set[str]] = {}
    for service in ("sagemaker", "s3", "logs", "sns", "lambda"):
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


def allowed_to_airflow() -> set[str]:
    """Return what the policies allow together; how queues are read is tested with the events."""
    actions = set().union(*(allowed_actions(name) for name in AIRFLOW))
    return {action for action in actions if not action.startswith("sqs:")}


def source_calls() -> dict[str, set[str]]:
    paths = (ROOT / "plugins" / "sagemaker_pipelines").rglob("*.py")
    # But not what a person runs.
    return calls_of(path for path in paths if path.name != "checks.py" and path.parent.name != "smoke")


def calls_of(paths: Iterable[Path]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in paths:
        for name in set(called(path.read_text())) & operations().keys():
            if "_" not in name:  # `search` is a regular expression's method here
                continue
            found[name] = operations()[name]
    return found


def test_every_call_in_the_package_is_allowed() -> None:
    calls = source_calls()
    assert {
        "create_function",
        "start_pipeline_execution",
        "stop_pipeline_execution",
        "get_object",
        "add_tags",
    } <= calls.keys()
    for name, actions in calls.items():
        assert actions & allowed_to_airflow(), f"{name}: docs/iam/airflow*.json allows none of {actions}"


def test_airflow_may_do_nothing_that_no_call_needs() -> None:
    needed = set().union(*source_calls().values()) | BEHIND
    assert allowed_to_airflow() - needed == set()


def test_a_smoke_run_may_do_what_it_calls_and_no_more() -> None:
    """In addition to Airflow; the runs are compared with the policies by what they really call."""
    calls = calls_of((ROOT / "plugins" / "sagemaker_pipelines" / "cli" / "smoke").glob("*.py"))
    allowed = allowed_actions("airflow") | allowed_actions("smoke")
    for name, actions in calls.items():
        assert actions & allowed, f"{name}: docs/iam/smoke.json allows none of {actions}"
    assert allowed_actions("smoke") - set().union(*calls.values()) == set()
    assert not allowed_actions("smoke") & allowed_actions("airflow")


@pytest.mark.parametrize("path", sorted((ROOT / "dags" / "definitions").glob("*.json")), ids=lambda p: p.stem)
def test_the_execution_role_may_run_every_step_of_the_compiled_definitions(path: Any) -> None:
    allowed = allowed_actions("sagemaker-execution") | allowed_actions("sagemaker-execution-steps")
    for step in iter_steps(Envelope.load(path).definition):
        for action in STEP_ACTIONS[step["Type"]]:
            name = action if ":" in action else f"sagemaker:{action}"
            assert name in allowed, (step["Name"], name)


def test_no_job_may_write_what_airflow_has_written() -> None:
    """A job runs code of the definition's author: it shall change neither later executions nor decisions."""
    envelope = Envelope.load(ROOT / "dags" / "definitions" / "abalone.json")
    written = [
        *(asset.key("dev-") for asset in envelope.assets),
        "dev-sagemaker-pipelines-environment.json",
        f"dev-{envelope.name}/definitions/0123abcd.json",
        f"dev-decisions/dev-{envelope.name}/1/0123abcd.json",
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


@pytest.mark.parametrize("name", [*AIRFLOW, "sagemaker-execution", "sagemaker-execution-steps", "smoke"])
def test_two_environments_of_one_account_have_disjoint_permissions(name: str) -> None:
    """What an environment owns stands below its name prefix; jobs have names that SageMaker gives."""
    for statement in statements(name):
        for resource in statement["Resource"]:
            kind = resource.split(":", 5)[-1]
            if re.match(
                r"(pipeline|model-package|model-package-group|endpoint)/|example-ml-\w+/|function:",
                kind,
            ):
                prefix = "prod" if name == "promotion-target" else "dev"
                assert re.match(rf"[\w-]+[/:]{prefix}-", kind), resource


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("airflow", "sagemaker"),
        ("airflow-functions", "lambda"),
        ("promotion-target", "sagemaker"),
        ("sagemaker-execution", "sagemaker"),
    ],
)
def test_a_role_is_passed_to_one_service_alone(name: str, service: str) -> None:
    (passing,) = [s for s in statements(name) if s["Action"] == ["iam:PassRole"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-trust")])
def test_a_role_is_assumed_under_a_condition(name: str) -> None:
    (statement,) = statements(name)
    assert statement["Action"] == ["sts:AssumeRole"]
    assert statement["Condition"]
