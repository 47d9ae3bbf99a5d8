"""RegisterModel steps.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
"""

from __future__ import annotations

from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.exceptions import AwsError
from sagemaker_local_runtime.validation import validate


class RegisterModelExecutor:
    """Registers a model package; like SageMaker, it creates a group that does not exist yet."""

    step_type = "RegisterModel"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Create the model package.

        :raises AwsError: the request is refused.
        """
        models = step_run.services.models
        request = validate("CreateModelPackage", step_run.arguments)
        group = request.get("ModelPackageGroupName")
        if group:
            _ensure_group(step_run, str(group).rpartition("/")[2])
        arn = models.create_model_package(request)
        return StepOutcome(
            status="Succeeded",
            metadata={"RegisterModel": {"Arn": arn}},
            properties=models.describe_model_package(arn),
        )


def _ensure_group(step_run: StepRun, name: str) -> None:
    models = step_run.services.models
    try:
        models.create_model_package_group({"ModelPackageGroupName": name})
    except AwsError:
        # The group exists already; any other error is raised by this call too.
        models.describe_model_package_group(name)
