"""Transform steps.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
"""

from __future__ import annotations

from local_runtime.engine.steps.base import StepOutcome, StepRun
from local_runtime.engine.steps.job_step import run_job_step
from local_runtime.jobs.kinds import TRANSFORM


class TransformExecutor:
    """Runs the transform job that the step's arguments request."""

    step_type = "Transform"

    def run(self, step_run: StepRun) -> StepOutcome:
        """Run the job to its end.

        :raises AwsError: the request is refused.
        """
        return run_job_step(step_run, TRANSFORM)
