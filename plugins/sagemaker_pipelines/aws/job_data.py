"""What a job reads and writes in S3, from its description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# More URIs of one step are left out, and so are longer ones: S3's keys have at most 1,024 bytes.
MAX_URIS = 20
MAX_URI = 1_100


def job_data(job: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the S3 URIs that a job reads, and those that it writes.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeProcessingJob.html

    :param job: the answer of DescribeProcessingJob, DescribeTrainingJob or DescribeTransformJob.
    """
    channels = [*job.get("InputDataConfig", ()), *filter(None, [job.get("TransformInput")])]
    inputs = [_at(each, "S3Input", "S3Uri") for each in job.get("ProcessingInputs", ())]
    inputs += [_at(each, "DataSource", "S3DataSource", "S3Uri") for each in channels]
    results = _at(job, "ProcessingOutputConfig", "Outputs") or ()
    outputs = [_at(each, "S3Output", "S3Uri") for each in results]
    outputs += [_at(job, "ModelArtifacts", "S3ModelArtifacts"), _at(job, "TransformOutput", "S3OutputPath")]
    return _bounded(inputs), _bounded(outputs)


def _at(value: Mapping[str, Any], *path: str) -> Any:
    found: Any = value
    for part in path:
        found = (found or {}).get(part)
    return found


def _bounded(uris: Iterable[str | None]) -> tuple[str, ...]:
    known = [uri for uri in uris if uri and uri.startswith("s3://") and len(uri) <= MAX_URI]
    return tuple(dict.fromkeys(known))[:MAX_URIS]
