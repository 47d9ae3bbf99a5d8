"""What a job reads and writes, from AWS's descriptions."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_pipelines.aws.job_data import MAX_URI, MAX_URIS, job_data


def s3(uri: str) -> dict[str, Any]:
    return {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}


@pytest.mark.parametrize(
    ("job", "inputs", "outputs"),
    [
        (
            {
                "ProcessingInputs": [
                    {"InputName": "a", "S3Input": {"S3Uri": "s3://b/in"}},
                    {"InputName": "again", "S3Input": {"S3Uri": "s3://b/in"}},
                    {"InputName": "athena", "DatasetDefinition": {}},
                ],
                "ProcessingOutputConfig": {
                    "Outputs": [
                        {"OutputName": "o", "S3Output": {"S3Uri": "s3://b/out"}},
                        {"OutputName": "f", "FeatureStoreOutput": {}},
                    ]
                },
            },
            ("s3://b/in",),
            ("s3://b/out",),
        ),
        (
            {
                "InputDataConfig": [
                    {"ChannelName": "train", "DataSource": s3("s3://b/train")},
                    {"ChannelName": "fast", "DataSource": {"FileSystemDataSource": {}}},
                ],
                "ModelArtifacts": {"S3ModelArtifacts": "s3://b/model.tar.gz"},
            },
            ("s3://b/train",),
            ("s3://b/model.tar.gz",),
        ),
        (
            {
                "TransformInput": {"DataSource": s3("s3://b/rows")},
                "TransformOutput": {"S3OutputPath": "s3://b/predictions"},
            },
            ("s3://b/rows",),
            ("s3://b/predictions",),
        ),
        # A training job that failed has no artifacts.
        ({"InputDataConfig": [], "ModelArtifacts": {"S3ModelArtifacts": ""}}, (), ()),
        ({}, (), ()),
    ],
)
def test_each_kind_of_job(job: dict[str, Any], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    assert job_data(job) == (inputs, outputs)


def test_it_is_bounded() -> None:
    """A URI that is too long is left out, because a shortened one would name other data."""
    uris = ["s3://b/" + "x" * MAX_URI, *(f"s3://b/{number}" for number in range(MAX_URIS + 5))]
    channels = [{"DataSource": s3(uri)} for uri in uris]
    assert job_data({"InputDataConfig": channels})[0] == tuple(uris[1 : MAX_URIS + 1])
