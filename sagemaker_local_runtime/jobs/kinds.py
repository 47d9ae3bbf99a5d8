"""The three kinds of job and their names in the API."""

from __future__ import annotations

from typing import Any, Literal

from sagemaker_local_runtime.exceptions import ValidationError

Kind = Literal["processing", "training", "transform"]
FINAL = frozenset({"Completed", "Failed", "Stopped"})


class JobKind:
    """The names of one kind of job in the API.

    :param kind: the local runtime's own name, such as ``"processing"``.
    :param missing: AWS's message when the job does not exist.
    """

    def __init__(
        self, kind: Kind, *, missing: str = "Could not find requested job with name: {name}"
    ) -> None:
        self.kind = kind
        self.missing = missing
        self.step_type = kind.title()
        self.resource = f"{kind}-job"  # in its ARN; also its kind in the store
        self.prefix = f"{self.step_type}Job"
        self.name_field, self.arn_field = f"{self.prefix}Name", f"{self.prefix}Arn"
        self.status_field = f"{self.prefix}Status"
        self.start_field, self.end_field = f"{self.step_type}StartTime", f"{self.step_type}EndTime"
        self.log_group = f"/aws/sagemaker/{self.prefix}s"
        # A transform job has the role of its model.
        self.needs_role = kind != "transform"


PROCESSING = JobKind("processing")
TRAINING = JobKind("training", missing="Requested resource not found.")
TRANSFORM = JobKind("transform")
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
