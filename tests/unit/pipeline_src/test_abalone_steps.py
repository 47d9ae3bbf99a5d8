from __future__ import annotations

import json
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
import xgboost  # noqa: TID253 - trains the model that the step reads
from feature_transform import BadDataError, FeatureTransform
from hypothesis import given
from hypothesis import strategies as st

from pipeline_src.abalone.steps.evaluate import evaluate
from pipeline_src.abalone.steps.preprocess import preprocess, split

ABALONE = Path("data/abalone/abalone.csv")
PARAMETERS = {
    "objective": "reg:squarederror",
    "max_depth": 5,
    "eta": 0.2,
    "gamma": 4,
    "min_child_weight": 6,
    "subsample": 0.7,
    "seed": 2026,
}


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of a processing job, with every tenth row held out."""
    root = tmp_path_factory.mktemp("processing")
    lines = ABALONE.read_text().splitlines()
    (root / "data").mkdir()
    (root / "batch").mkdir()
    kept = [line for number, line in enumerate(lines) if number % 10 != 9]
    (root / "data" / "abalone.csv").write_text("\n".join(kept) + "\n")
    held_out = [line.rsplit(",", 1)[0] for number, line in enumerate(lines) if number % 10 == 9]
    (root / "batch" / "holdout.csv").write_text("\n".join(held_out) + "\n")
    return root


@pytest.fixture(scope="module")
def output(container: Path) -> Path:
    preprocess(container / "data", container / "batch", container / "output", seed=2026)
    return container / "output"


def _matrix(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", ndmin=2)


def test_the_real_data_are_split_70_15_15_with_the_label_first(output: Path) -> None:
    counts = {name: len(_matrix(output / name / f"{name}.csv")) for name in ("train", "validation", "test")}
    assert counts == {"train": 2632, "validation": 564, "test": 564}
    labels = _matrix(output / "train" / "train.csv")[:, 0]
    assert labels.min() >= 1
    assert (labels == labels.round()).all()


def test_the_features_are_scaled_by_the_training_rows_only(output: Path) -> None:
    train = _matrix(output / "train" / "train.csv")[:, 4:]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-6)
    test = _matrix(output / "test" / "test.csv")[:, 4:]
    assert np.abs(test.mean(axis=0)).max() > 1e-3


def test_the_batch_has_the_features_of_its_raw_rows_and_no_label(container: Path, output: Path) -> None:
    batch = _matrix(output / "batch" / "holdout.csv")
    assert batch.shape == (417, 10)
    transform = FeatureTransform.from_json((output / "feature_transform" / "transform.json").read_text())
    sex, length = (container / "batch" / "holdout.csv").read_text().split(",")[:2]
    fitted = transform.fitted[1]
    assert batch[0, :3].tolist() == [float(sex == name) for name in ("F", "I", "M")]
    assert batch[0, 3] == pytest.approx((float(length) - fitted.mean) / fitted.scale)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(
    container: Path, output: Path, tmp_path: Path
) -> None:
    preprocess(container / "data", container / "batch", tmp_path / "same", seed=2026)
    preprocess(container / "data", container / "batch", tmp_path / "other", seed=7)
    names = [path.relative_to(output) for path in output.rglob("*.*")]
    assert len(names) == 5
    assert all((output / name).read_bytes() == (tmp_path / "same" / name).read_bytes() for name in names)
    test = Path("test", "test.csv")
    assert (output / test).read_bytes() != (tmp_path / "other" / test).read_bytes()


@given(st.integers(min_value=20, max_value=5000), st.integers(min_value=0, max_value=2**32))
def test_every_row_is_in_exactly_one_split_and_no_split_is_empty(count: int, seed: int) -> None:
    splits = split(count, seed)
    assert sorted(row for rows in splits.values() for row in rows) == list(range(count))
    assert all(splits.values())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["M,0.5,0.4,0.1,0.5,0.2,0.1,0.15,15"] * 19, "holds 19 rows, expected at least 20"),
        (["M,0.5,0.4,0.1,0.5,0.2,0.1,0.15,old"] * 20, r"line 1, column 9 \(rings\): 'old' is not a number"),
        (["M,0.5,0.4,0.1,0.5,0.2,0.1,0.15"] * 20, "line 1: 8 columns, expected 9"),
    ],
)
def test_labelled_rows_that_cannot_be_used_are_refused(
    container: Path, tmp_path: Path, rows: list[str], message: str
) -> None:
    (tmp_path / "abalone.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(BadDataError, match=message):
        preprocess(tmp_path, container / "batch", tmp_path / "output", seed=1)


def test_batch_rows_with_a_label_are_refused(container: Path, tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"abalone\.csv, line 1: 9 columns, expected 8"):
        preprocess(container / "data", container / "data", tmp_path, seed=1)


def test_the_reported_error_is_the_model_s_on_the_test_split(output: Path, tmp_path: Path) -> None:
    """On real data it is the error that AWS's own example shows, about 4.9, and below the threshold of 6."""
    train, test = _matrix(output / "train" / "train.csv"), _matrix(output / "test" / "test.csv")
    booster = xgboost.train(PARAMETERS, xgboost.DMatrix(train[:, 1:], train[:, 0]), num_boost_round=50)
    booster.save_model(tmp_path / "model.ubj")
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "model.ubj", "xgboost-model")

    report = evaluate(archive, output / "test" / "test.csv", tmp_path / "evaluation")

    errors = test[:, 0] - booster.predict(xgboost.DMatrix(test[:, 1:]))
    mse = report["regression_metrics"]["mse"]
    assert mse["value"] == pytest.approx(np.mean(errors**2), rel=1e-6)
    assert mse["standard_deviation"] == pytest.approx(np.std(errors), rel=1e-6)
    assert 4 < mse["value"] < 6
    assert json.loads((tmp_path / "evaluation" / "evaluation.json").read_text()) == report
    assert math.isfinite(mse["standard_deviation"])
