"""The three kinds of job and their names in the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from local_runtime.exceptions import ValidationError

Kind = Literal["processing", "training", "transform"]
FINAL = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """The API's names for one kind of job.

    :param kind: the local runtime's own name.
    :param prefix: the beginning of its fields, such as ``"ProcessingJob"``.
    :param resource: the resource type in its ARN.
    :param times: the prefix of its start and end times.
    :param missing: AWS's message when the job does not exist.
    """

    kind: Kind
    prefix: str
    resource: str
    times: str
    missing: str

    @property
    def needs_role(self) -> bool:
        """Whether its Create request names a role; a transform job has the role of its model."""
        return self.kind != "transform"

    @property
    def document_kind(self) -> str:
        """Its kind in the store."""
        return f"{self.kind}-job"

    @property
    def name_field(self) -> str:
        """Such as ``ProcessingJobName``."""
        return f"{self.prefix}Name"

    @property
    def arn_field(self) -> str:
        """Such as ``ProcessingJobArn``."""
        return f"{self.prefix}Arn"

    @property
    def status_field(self) -> str:
        """Such as ``ProcessingJobStatus``."""
        return f"{self.prefix}Status"

    @property
    def start_field(self) -> str:
        """Such as ``ProcessingStartTime``."""
        return f"{self.times}StartTime"

    @property
    def end_field(self) -> str:
        """Such as ``ProcessingEndTime``."""
        return f"{self.times}EndTime"

    @property
    def log_group(self) -> str:
        """Its CloudWatch log group."""
        return f"/aws/sagemaker/{self.prefix}s"


PROCESSING = JobKind(
    kind="processing",
    prefix="ProcessingJob",
    resource="processing-job",
    times="Processing",
    missing="Could not find requested job with name: {name}",
)
TRAINING = JobKind(
    kind="training",
    prefix="TrainingJob",
    resource="training-job",
    times="Training",
    missing="Requested resource not found.",
)
TRANSFORM = JobKind(
    kind="transform",
    prefix="TransformJob",
    resource="transform-job",
    times="Transform",
    missing="Could not find requested job with name: {name}",
)
KINDS: dict[str, JobKind] = {kind.kind: kind for kind in (PROCESSING, TRAINING, TRANSFORM)}


def check_local_path(path: str, what: str) -> None:
    """Refuse a container path that is not below ``/opt/ml``.

    :raises ValidationError: it is relative, or is not below that folder.
    """
    parts = path.split("/")
    if not path.startswith("/opt/ml/") or ".." in parts:
        raise ValidationError(f"Invalid path {path!r} of {what}: expected an absolute path below /opt/ml.")


def job_tags(request: dict[str, Any], arn: str | None, step: str | None) -> list[dict[str, str]]:
    """Return the tags of a job: those of its request and, for a pipeline's job, its execution and step."""
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
    if arn is not None:
        tags["sagemaker:pipeline-execution-arn"] = arn
    if step is not None:
        tags["sagemaker:pipeline-step-name"] = step
    return [{"Key": key, "Value": value} for key, value in tags.items()]
