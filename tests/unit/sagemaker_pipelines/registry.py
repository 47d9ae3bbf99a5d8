"""A model registry over HTTP, with a group whose packages tests decide about."""

from __future__ import annotations

import itertools
import json
from typing import Any

from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.comparison import Comparison, Contender, Slice
from tests.unit.sagemaker_pipelines.samples import ROLE

_GROUPS = itertools.count(1)


def connection_to(runtime: LocalRuntime) -> str:
    """Return the JSON of an Airflow connection to a runtime, whose clients do not retry."""
    sagemaker = {"artifact_bucket": runtime.bucket, "role_arn": ROLE, "name_prefix": "dev-"}
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": runtime.endpoint_url,
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
        "service_config": {"sagemaker": sagemaker},
    }
    return json.dumps({"conn_type": "aws", "login": "test", "password": "test-password", "extra": extra})


def comparison(arn: str, champion: str, *, slice_name: str = "sex=F") -> Comparison:
    """Return a comparison that a package has won."""
    return Comparison(
        metric="mse",
        larger_is_better=False,
        margin=0.1,
        threshold=6.0,
        challenger=Contender(arn=arn, value=4.9),
        champion=Contender(arn=champion, value=5.2),
        difference=-0.3,
        interval=(-0.4, -0.2),
        confidence=0.95,
        rows=417,
        slices=(Slice(name=slice_name, rows=120, challenger=4.8, champion=5.0),),
        wins=True,
        reason="better by more than the margin",
        report_uri="s3://artifacts/comparison.json",
    )


class Group:
    """A new model package group.

    :param runtime: the registry.
    """

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self.sagemaker = runtime.client("sagemaker")
        self.name = f"dev-abalone-{next(_GROUPS)}"
        self.sagemaker.create_model_package_group(ModelPackageGroupName=self.name)

    def register(self, status: str = "PendingManualApproval", **members: Any) -> str:
        """Register a package, and return its ARN."""
        arn: str = self.sagemaker.create_model_package(
            ModelPackageGroupName=self.name, ModelApprovalStatus=status, **members
        )["ModelPackageArn"]
        return arn

    def set_status(self, arn: str, status: str, description: str = "") -> None:
        """Change a status as Studio does."""
        told = {"ApprovalDescription": description} if description else {}
        self.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status, **told)

    def describe(self, arn: str) -> dict[str, Any]:
        """Return a package."""
        answer: dict[str, Any] = self.sagemaker.describe_model_package(ModelPackageName=arn)
        return answer

    def status(self, arn: str) -> str:
        """Return a package's approval status."""
        return str(self.describe(arn)["ModelApprovalStatus"])

    def updates(self) -> int:
        """Return how many UpdateModelPackage calls the registry has seen."""
        return self.runtime.calls().get("sagemaker:UpdateModelPackage", 0)

    def records(self) -> dict[str, Any]:
        """Return the records of this group's decisions, by their URIs."""
        found = self.runtime.client("s3").list_objects_v2(
            Bucket=self.runtime.bucket, Prefix=f"dev-decisions/{self.name}/"
        )
        uris = [f"s3://{self.runtime.bucket}/{item['Key']}" for item in found.get("Contents", ())]
        return {uri: json.loads(self.runtime.get(uri)) for uri in uris}
