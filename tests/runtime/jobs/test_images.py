from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.images.batch.json_path import JsonPath
from sagemaker_local_runtime.images.batch.records import finish, split_response
from sagemaker_local_runtime.images.batch.requests import Splitter, read_frames, write_frame
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.xgboost.hyperparameters import booster_parameters, check_hyperparameters
from tests.runtime.jobs.conftest import XGBOOST


@pytest.mark.parametrize(
    ("tag", "version"),
    [("3.2-0", (3, 2)), ("1.2-2-cpu-py3", (1, 2)), ("1.0-1", (1, 0)), ("latest", ())],
)
def test_the_tag_gives_the_version(tag: str, version: tuple[int, ...]) -> None:
    assert Catalog().find(XGBOOST.replace("3.2-0", tag)).name.version == version


def test_a_digest_is_no_part_of_the_repository() -> None:
    assert Catalog().find(f"{XGBOOST}@sha256:abc").name.repository == "sagemaker-xgboost"


def test_an_unknown_repository_is_named_with_those_known() -> None:
    with pytest.raises(ValidationError, match=r"'linear-learner'.*sagemaker-scikit-learn, sagemaker-xgboost"):
        Catalog().find("1.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("$", [1, 2], [1, 2]),
        ("$[1:]", [1, 2, 3], [2, 3]),
        ("$[:-1]", [1, 2, 3], [1, 2]),
        ("$[::2]", [1, 2, 3], [1, 3]),
        ("$[0]", [1, 2], 1),
        ("$[0,-1]", [1, 2, 3], [1, 3]),
        ("$.features", {"features": [1], "id": 2}, [1]),
        ("$['a','b']", {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}),
        ("$.rows[0].x", {"rows": [{"x": 5}]}, 5),
        ("$.*", {"a": 1, "b": 2}, [1, 2]),
    ],
)
def test_a_filter_selects(path: str, value: Any, expected: Any) -> None:
    assert JsonPath(path).apply(value) == expected


@pytest.mark.parametrize("path", ["features", "$..x", "$[?(@.x>1)]", "$[", "$.1x"])
def test_a_filter_outside_the_subset_is_refused(path: str) -> None:
    with pytest.raises(UserInputError, match="Invalid JSONPath"):
        JsonPath(path)


@pytest.mark.parametrize(("path", "value"), [("$.x", {"y": 1}), ("$[3]", [1]), ("$[0]", {"0": 1})])
def test_a_filter_that_does_not_fit_the_record_says_so(path: str, value: Any) -> None:
    with pytest.raises(UserInputError, match="does not fit the record"):
        JsonPath(path).apply(value)


def test_csv_fields_with_commas_survive_a_join() -> None:
    line = finish(
        b'"a,b",1', b"0.5", join=True, path=JsonPath("$"), content_type="text/csv", accept="text/csv"
    )
    assert line == b'"a,b",1,0.5'


def test_a_json_record_that_is_no_object_is_joined_beside_its_output() -> None:
    line = finish(
        b"[1, 2]",
        b"3",
        join=True,
        path=JsonPath("$"),
        content_type="application/json",
        accept="application/json",
    )
    assert json.loads(line) == {"SageMakerInput": [1, 2], "SageMakerOutput": 3}


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"1\n2\n", "text/csv", [b"1", b"2"]),
        (
            b'{"predictions": [{"score": 1}, {"score": 2}]}',
            "application/json",
            [b'{"score": 1}', b'{"score": 2}'],
        ),
        (b"[1, 2]", "application/json", [b"1", b"2"]),
    ],
)
def test_a_response_is_split_into_its_records(body: bytes, content_type: str, expected: list[bytes]) -> None:
    assert split_response(body, content_type, 2) == expected


def test_a_response_with_another_number_of_records_is_refused() -> None:
    with pytest.raises(UserInputError, match="answered 1 records to a request of 3"):
        split_response(b"0.5\n", "text/csv", 3)


def splitter(**changes: Any) -> Splitter:
    settings: dict[str, Any] = {
        "by_line": True,
        "many": True,
        "limit": 0,
        "input_filter": JsonPath("$"),
        "content_type": "text/csv",
        "gzipped": False,
    }
    return Splitter(**{**settings, **changes})


def test_blank_lines_are_no_records(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"a\r\n\nb")
    (request,) = splitter().requests(tmp_path / "rows")
    assert (request.records, request.payload) == ([b"a", b"b"], b"a\nb")


def test_a_whole_file_is_one_record_without_splitting(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"a\nb\n")
    (request,) = splitter(by_line=False).requests(tmp_path / "rows")
    assert request.payload == b"a\nb\n"


def test_frames_carry_any_bytes(tmp_path: Path) -> None:
    bodies = [b"", b"\n\n", b"\0{\n", b"x" * 100_000]
    with (tmp_path / "frames").open("wb") as file:
        for body in bodies:
            write_frame(file, body, "text/csv")
    assert [body for body, _ in read_frames(tmp_path / "frames")] == bodies


def test_hyperparameters_become_values_of_their_types() -> None:
    checked = check_hyperparameters(
        {"num_round": "10", "eta": "0.2", "eval_metric": "rmse,mae", "save_model_on_termination": "true"}
    )
    assert checked["eval_metric"] == ["rmse", "mae"]
    assert booster_parameters(checked, version=(3, 2)) == {"eta": 0.2}


@pytest.mark.parametrize(("version", "objective"), [((1, 2), "reg:squarederror"), ((3, 2), "reg:linear")])
def test_names_that_xgboost_dropped_are_translated_for_old_tags(
    version: tuple[int, ...], objective: str
) -> None:
    checked = check_hyperparameters({"num_round": "1", "objective": "reg:linear"})
    assert booster_parameters(checked, version=version)["objective"] == objective


@pytest.mark.parametrize("value", ["nan", "-0.1", "1.1", "", "0,2"])
def test_a_value_outside_its_range_is_refused(value: str) -> None:
    with pytest.raises(UserInputError, match="Hyperparameter eta: invalid value"):
        check_hyperparameters({"num_round": "1", "eta": value})
