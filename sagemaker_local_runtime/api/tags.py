"""The actions on tags."""

from __future__ import annotations

from collections.abc import Callable

from sagemaker_local_runtime.api.paging import page
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.engine.pipelines import find_pipeline
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.services.tags import put_tags, remove_tags, tags_of


@action("AddTags")
def add_tags(runtime: Runtime, request: Request) -> Response:
    """Add tags to a resource and return all of its tags."""
    arn = _checked(runtime, request)
    return {"Tags": put_tags(runtime.account.store, arn, request["Tags"])}


@action("ListTags")
def list_tags(runtime: Runtime, request: Request) -> Response:
    """List the tags of a resource."""
    found, following = page([*tags_of(runtime.account.store, _checked(runtime, request))], request, key="Key")
    return {"Tags": found, **following}


@action("DeleteTags")
def delete_tags(runtime: Runtime, request: Request) -> Response:
    """Remove tags from a resource."""
    remove_tags(runtime.account.store, _checked(runtime, request), request["TagKeys"])
    return {}


def _checked(runtime: Runtime, request: Request) -> str:
    """Return the resource's ARN. It must exist if it is of a kind that this runtime keeps.

    :raises AwsError: it does not exist.
    """
    arn = str(request["ResourceArn"])
    kind, _, name = arn.split(":", 5)[-1].partition("/")
    checks: dict[str, Callable[[], object]] = {
        "pipeline": lambda: (
            runtime.executions.find(arn) if "/execution/" in name else find_pipeline(runtime.account, arn)
        ),
        "processing-job": lambda: runtime.jobs.describe("processing", name),
        "training-job": lambda: runtime.jobs.describe("training", name),
        "transform-job": lambda: runtime.jobs.describe("transform", name),
        "hyper-parameter-tuning-job": lambda: runtime.tuning.describe(name),
        "model": lambda: runtime.models.describe_model(name),
        "model-package-group": lambda: runtime.models.describe_model_package_group(name),
        "model-package": lambda: runtime.models.describe_model_package(arn),
    }
    checks.get(kind, lambda: None)()
    return arn
