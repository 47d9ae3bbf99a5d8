from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from feature_transform import (
    BadDataError,
    Column,
    FeatureTransform,
    Table,
    input_files,
    read_table,
    run_job,
    transform_files,
)
from hypothesis import given
from hypothesis import strategies as st

SEX = Column("sex", categories=("F", "I", "M"))
LENGTH = Column("length", minimum=0)
RINGS = Column("rings", minimum=0, required=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("M,1\nM,3\nI,\n")
    return tmp_path


def test_numbers_are_filled_with_the_median_and_scaled_and_categories_are_one_hot(folder: Path) -> None:
    table = read_table(input_files(folder), [SEX, LENGTH])
    features = FeatureTransform.fit([SEX, LENGTH], table).apply(table)
    scale = math.sqrt(2 / 3)
    expected = np.array([[0, 0, 1, -1 / scale], [0, 0, 1, 1 / scale], [0, 1, 0, 0]])
    assert features == pytest.approx(expected)


def test_an_empty_category_becomes_the_most_frequent_one(folder: Path) -> None:
    table = read_table(input_files(folder), [SEX, LENGTH])
    transform = FeatureTransform.fit([SEX, LENGTH], table)
    assert transform.apply({"sex": [""], "length": [1.0]})[0, :3].tolist() == [0, 0, 1]


def test_a_constant_column_becomes_zero_and_not_nan() -> None:
    table = {"length": [2.0, 2.0]}
    assert FeatureTransform.fit([LENGTH], table).apply(table).tolist() == [[0.0], [0.0]]


def test_a_column_without_any_value_cannot_be_fitted() -> None:
    with pytest.raises(BadDataError, match="Column length is empty in all 2 training rows"):
        FeatureTransform.fit([LENGTH], {"length": [math.nan, math.nan]})
    with pytest.raises(BadDataError, match="Column sex is empty in all 1 training rows"):
        FeatureTransform.fit([SEX], {"sex": [""]})


rows = st.lists(
    st.tuples(
        st.sampled_from(["F", "I", "M", ""]),
        st.floats(min_value=0, max_value=1e9) | st.just(math.nan),
    ),
    min_size=1,
    max_size=20,
).filter(lambda rows: any(sex for sex, _ in rows) and any(not math.isnan(length) for _, length in rows))


@given(rows)
def test_the_transform_read_from_its_json_gives_the_same_finite_features(
    rows: list[tuple[str, float]],
) -> None:
    table: Table = {"sex": [sex for sex, _ in rows], "length": [length for _, length in rows]}
    transform = FeatureTransform.fit([SEX, LENGTH], table)
    again = FeatureTransform.from_json(transform.to_json())
    assert again == transform
    features = again.apply(table)
    assert features.shape == (len(rows), 4)
    assert np.isfinite(features).all()
    assert (features[:, :3].sum(axis=1) == 1).all()


def test_a_transform_of_another_format_is_refused() -> None:
    with pytest.raises(BadDataError, match="the format 2, expected 1"):
        FeatureTransform.from_json('{"format": 2, "columns": []}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("M,1,9\nX,1,9\n", r"rows\.csv, line 2, column 1 \(sex\): 'X' is unknown, expected one of F, I, M\."),
        ("M,1,9\nM,a,9\n", r"rows\.csv, line 2, column 2 \(length\): 'a' is not a number\."),
        ("M,nan,9\n", r"rows\.csv, line 1, column 2 \(length\): 'nan' is not a finite number\."),
        ("M,inf,9\n", r"line 1, column 2 \(length\): 'inf' is not a finite number\."),
        ("M,-1,9\n", r"line 1, column 2 \(length\): '-1' is below 0\."),
        ("M,1,\n", r"line 1, column 3 \(rings\): the cell is empty\."),
        ("M,1\n", r"rows\.csv, line 1: 2 columns, expected 3 \(sex, length, rings\)\."),
        ("M,1,9\n\nM,1,9\n", r"rows\.csv, line 2: 0 columns, expected 3"),
    ],
)
def test_a_bad_row_is_refused_with_its_file_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(BadDataError, match=message):
        read_table([path], [SEX, LENGTH, RINGS])


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08", "M,1,9\n".encode("utf-16")])
def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(content)
    with pytest.raises(BadDataError, match=r"rows\.csv\.gz, after line 0: .*; expected CSV as UTF-8 text\."):
        read_table([path], [SEX, LENGTH, RINGS])


def test_files_are_read_in_the_order_of_their_paths_and_markers_are_left_out(tmp_path: Path) -> None:
    for name in ("dt=2026-01-02/a.csv", "dt=2026-01-01/a.csv", "_SUCCESS", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    names = [path.relative_to(tmp_path).as_posix() for path in input_files(tmp_path)]
    assert names == ["dt=2026-01-01/a.csv", "dt=2026-01-02/a.csv"]


def test_an_input_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="holds no data file"):
        input_files(tmp_path)


def test_files_are_transformed_one_by_one_under_their_names(tmp_path: Path) -> None:
    transform = FeatureTransform.fit([LENGTH], {"length": [1.0, 3.0]})
    for name in ("a.csv", "part/b.csv"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1\n3\n")
    assert transform_files(transform, tmp_path / "in", tmp_path / "out") == 4
    assert (tmp_path / "out" / "part" / "b.csv").read_text() == "-1\n1\n"


def test_bad_data_ends_a_job_with_a_message_that_sagemaker_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = tmp_path / "output" / "message"
    monkeypatch.setattr("feature_transform.EXIT_MESSAGE", message)

    def main() -> None:
        raise BadDataError("rows.csv, line 1: bad")

    with pytest.raises(SystemExit, match=r"rows\.csv, line 1: bad"):
        run_job(main)
    assert message.read_text() == "rows.csv, line 1: bad"
