"""Model steps: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html."""

from __future__ import annotations

from sagemaker_local_runtime.engine.steps.base import StepOutcome, StepRun
from sagemaker_local_runtime.validation import validate


class ModelExecutor:
    """Creates the model that the step's arguments request."""

    step_type = "Model"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Create the model.

        :raises AwsError: the request is refused.
        """
        models = step_run.services.models
        name = step_run.resource_name("ModelName")
        request = {**step_run.with_role("ExecutionRoleArn"), "ModelName": name}
        arn = models.create_model(validate("CreateModel", request))
        return StepOutcome(
            status="Succeeded",
            metadata={"Model": {"Arn": arn}},
            properties=models.describe_model(name),
        )
