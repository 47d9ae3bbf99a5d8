"""The tag of an image decides which versions run; thorough, as the packages come from the index."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from sagemaker_local_runtime.images.catalog import Catalog, LocalImage
from tests.runtime.jobs import test_training as training
from tests.runtime.jobs import test_transform as transform
from tests.runtime.jobs.conftest import BUCKET, SKLEARN, XGBOOST, JobRuntime, output, processing_request

pytestmark = pytest.mark.thorough

SPLIT = """
    import json, sys
    import numpy as np, pandas as pd, sklearn
    parts = np.split(pd.DataFrame({"x": range(4)}), [2])
    seen = {"sklearn": sklearn.__version__, "pandas": pd.__version__, "parts": type(parts[0]).__name__}
    json.dump(seen, open("/opt/ml/processing/out/seen.json", "w"))
    sys.exit(int(sys.argv[1]))
"""


def test_the_tag_chooses_the_versions_of_a_script(either_isolation: JobRuntime) -> None:
    """np.split of a DataFrame gives DataFrames with the pandas of that time, and arrays with today's."""
    runtime = either_isolation
    for name, code in (("fine", "0"), ("broken", "4")):
        request = processing_request(runtime, name, SPLIT)
        request["AppSpecification"]["ImageUri"] = SKLEARN.replace("1.9-0", "1.2-1")
        request["AppSpecification"]["ContainerArguments"] = [code]
        runtime.jobs.create("processing", request)
    fine, broken = (runtime.jobs.wait("processing", name) for name in ("fine", "broken"))
    assert fine["ProcessingJobStatus"] == "Completed", output(runtime, "fine")
    seen = json.loads(runtime.storage.read_bytes(f"s3://{BUCKET}/fine/out/seen.json"))
    assert seen["sklearn"].startswith("1.2.") or sys.version_info >= (3, 12)
    assert seen["pandas"].startswith(("1.", "2."))
    assert seen["parts"] == "DataFrame"
    line = f"pandas {seen['pandas']} (the image has 1.1.3)"
    assert line in output(runtime, "fine")
    assert line in broken["FailureReason"]


@pytest.mark.parametrize(("tag", "pickled"), [("1.2-2", True), ("1.7-1", False)])
def test_old_xgboost_trains_and_scores_with_its_own_format(
    runtime: JobRuntime, tag: str, pickled: bool
) -> None:
    image = XGBOOST.replace("3.2-0", tag)
    training.upload_table(runtime, "old")
    request = training.training_request("old", "old")
    request["AlgorithmSpecification"]["TrainingImage"] = image
    request["HyperParameters"] = {
        **training.HYPERPARAMETERS,
        "objective": "reg:linear",
        "eval_metric": "rmse,mse",
        "early_stopping_rounds": "5",
    }
    job = training.run_training(runtime, request)
    assert job["TrainingJobStatus"] == "Completed", training.log_of(runtime, "old")
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert training.members(runtime, uri)["xgboost-model"].startswith(b"\x80") == pickled
    assert {metric["MetricName"] for metric in job["FinalMetricDataList"]} >= {"train:rmse", "train:mse"}
    transform.create_model(runtime, "old", {"Image": image, "ModelDataUrl": uri})
    scored = transform.run_transform(runtime, "old", b"1,2\n3,4\n")
    assert scored["TransformJobStatus"] == "Completed", transform.log_of(runtime, "old")
    assert len(transform.result(runtime, "old").splitlines()) == 2


def resolved(image: LocalImage, python: str) -> dict[str, str]:
    """Return the versions that an environment of an image would have."""
    command = [
        find_uv_bin(),
        "pip",
        "compile",
        "-q",
        "--no-header",
        "--no-annotate",
        "--python-version",
        python,
    ]
    options = ["--resolution", "lowest-direct", "--only-binary", ":all:", "-"]
    requirements = "\n".join(image.entry.requirements or ())
    done = subprocess.run(
        [*command, *options], input=requirements, capture_output=True, text=True, check=True
    )
    return dict(line.split("==") for line in done.stdout.split())


def test_the_documented_versions_are_what_uv_chooses() -> None:
    document = (Path(__file__).parents[3] / "docs" / "local_runtime.md").read_text()
    rows = re.findall(r"^\| (sagemaker-\S+:\S+) \| (.+?) \| (.+?) \| (.+?) \|$", document, re.MULTILINE)
    assert len(rows) > 5
    for name, *cells in rows:
        image = Catalog().find(name)
        found = [image.asked, resolved(image, "3.11"), resolved(image, "3.12")]
        for cell, versions in zip(cells, found, strict=True):
            package = cell.split()[0]
            assert cell == f"{package} {versions[package]}, pandas {versions['pandas']}", name


def test_an_image_is_built_ahead_by_the_command(tmp_path: Path) -> None:
    """With the packages in the cache, the second build needs no network."""
    command = [sys.executable, "-m", "sagemaker_local_runtime", "images", "build", "own:1"]
    images = tmp_path / "images.toml"
    images.write_text('[[image]]\nrepository = "own"\nrequirements = ["six==1.17.0"]\n')
    options = ["--images", str(images), "--cache-dir", str(tmp_path / "cache")]
    built = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert "+ six==1.17.0" in built.stdout
    again = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert again.stdout.startswith("own:1: ")
