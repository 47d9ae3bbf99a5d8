from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from feature_transform import BadDataError, Column, FeatureTransform
from hypothesis import given
from hypothesis import strategies as st

from pipeline_src.scoring.steps.apply_transform import recorded_transform, region_of
from pipeline_src.scoring.steps.report import describe, read_predictions, report

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/abalone/3"


@pytest.fixture
def clients() -> tuple[Any, Any]:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "eu-west-1"}
    return boto3.client("sagemaker", **keys), boto3.client("s3", **keys)


def _package(**properties: str) -> dict[str, Any]:
    return {
        "ModelPackageName": "abalone",
        "ModelPackageArn": ARN,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CreationTime": 0,
        "CustomerMetadataProperties": properties,
    }


def test_the_transform_is_the_one_that_the_package_records(clients: tuple[Any, Any], tmp_path: Path) -> None:
    transform = FeatureTransform.fit([Column("length")], {"length": [1.0, 3.0]})
    stored = tmp_path / "transform.json"
    stored.write_text(transform.to_json())
    sagemaker, s3 = clients
    with Stubber(sagemaker) as packages, Stubber(s3) as objects, stored.open("rb") as file:
        packages.add_response(
            "describe_model_package",
            _package(feature_transform="s3://bucket/a/transform.json"),
            {"ModelPackageName": ARN},
        )
        objects.add_response(
            "get_object",
            {"Body": StreamingBody(file, stored.stat().st_size)},
            {"Bucket": "bucket", "Key": "a/transform.json"},
        )
        assert recorded_transform(ARN, sagemaker=sagemaker, s3=s3) == transform


def test_a_package_without_a_transform_is_refused_by_its_arn(clients: tuple[Any, Any]) -> None:
    sagemaker, s3 = clients
    with Stubber(sagemaker) as packages:
        packages.add_response("describe_model_package", _package(other="x"), {"ModelPackageName": ARN})
        with pytest.raises(BadDataError, match=f"{ARN} has no feature_transform"):
            recorded_transform(ARN, sagemaker=sagemaker, s3=s3)


def test_the_region_is_the_package_s() -> None:
    assert region_of(ARN) == "eu-west-1"


@pytest.mark.parametrize(
    "arn", ["abalone", "arn:aws:sagemaker:us-east-1:1:model/m", "arn:aws:s3:::bucket", f"{ARN}:x", ""]
)
def test_what_is_no_arn_of_a_package_is_refused(arn: str) -> None:
    with pytest.raises(BadDataError, match="ModelPackageArn is"):
        region_of(arn)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    batch, predictions = tmp_path / "batch", tmp_path / "predictions"
    for name, rows in (("a.csv", "M,1\nF,2\nI,3\n"), ("part/b.csv", "M,4")):
        path = batch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows)
    for name, values in (("a.csv.out", "8\n10\n12\n"), ("part/b.csv.out", "6\n")):
        path = predictions / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(values)
    return batch, predictions


def test_the_report_counts_rows_by_file_and_describes_the_predictions(folders: tuple[Path, Path]) -> None:
    found = report(*folders)
    assert (found["rows_in"], found["rows_out"], found["rows_missing"]) == (4, 4, 0)
    assert found["files"] == [
        {"name": "a.csv", "rows_in": 3, "rows_out": 3},
        {"name": "part/b.csv", "rows_in": 1, "rows_out": 1},
    ]
    predictions = found["predictions"]
    assert (predictions["count"], predictions["mean"]) == (4, 9.0)
    assert (predictions["min"], predictions["max"]) == (6.0, 12.0)
    assert sum(predictions["histogram"]["counts"]) == 4
    assert len(predictions["histogram"]["edges"]) == 11


def test_a_row_without_a_prediction_is_missing(folders: tuple[Path, Path]) -> None:
    (folders[1] / "a.csv.out").write_text("8\n10\n")
    (folders[1] / "part" / "b.csv.out").unlink()
    assert report(*folders)["rows_missing"] == 2


def test_older_predictions_under_the_same_prefix_are_not_counted(folders: tuple[Path, Path]) -> None:
    """They would make up for missing rows."""
    (folders[1] / "old.csv.out").write_text("1\n2\n3\n")
    assert report(*folders)["rows_out"] == 4


@pytest.mark.parametrize("text", ["nine", "nan", "inf", "", "1,2"])
def test_a_prediction_that_is_no_finite_number_is_refused_by_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv.out"
    path.write_text(f"8\n{text}\n9\n")
    with pytest.raises(BadDataError, match=r"a\.csv\.out, line 2, column 1"):
        read_predictions(path)


def test_no_predictions_have_a_count_and_no_numbers() -> None:
    assert describe([]) == {
        "count": 0,
        "mean": None,
        "min": None,
        "max": None,
        "histogram": {"edges": [], "counts": []},
    }


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=50))
def test_every_prediction_is_in_the_histogram_and_between_the_extremes(values: list[float]) -> None:
    found = describe(values)
    assert sum(found["histogram"]["counts"]) == found["count"] == len(values)
    slack = 1e-9 * max(abs(found["min"]), abs(found["max"]), 1)
    assert found["min"] - slack <= found["mean"] <= found["max"] + slack
