"""The comparison pipeline, executed with real models: a better, an equal and a worse challenger."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost  # noqa: TID253 - the tests train the models
from feature_transform import Column, FeatureTransform

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.target import Target
from sagemaker_local_runtime.testing import LocalRuntime
from sagemaker_pipelines.aws.comparison import read_comparison
from sagemaker_pipelines.aws.gate import read_gate
from sagemaker_pipelines.aws.model_packages import packaged_model
from sagemaker_pipelines.aws.outcome import execution_outcome
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.exceptions import EvaluationError, ExecutionFailedError
from tests.runtime.engine.definitions import pipeline
from tests.runtime.engine.test_real_jobs import XGBOOST, job

DEFINITION = Path(__file__).parents[3] / "dags" / "definitions" / "comparison.json"
COLUMNS = (Column("sex", categories=("F", "I", "M")), Column("length", minimum=0))
ROWS = 240
CHAMPION_ROUNDS = 8

RULE = {
    "metric": "mse",
    "larger_is_better": False,
    "margin": 0.1,
    "challenger": {"arn": "a", "value": 1.0},
}

pytestmark = pytest.mark.thorough


class Registry:
    """Model packages of models that were trained on more or on fewer rows."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self.target = Target.of(runtime.endpoint_url, runtime.settings)
        self.envelope = Envelope.load(DEFINITION)
        upsert_pipeline(self.target.sagemaker, self.envelope)
        random = np.random.default_rng(1)
        sex, length = random.choice(["F", "I", "M"], 3 * ROWS), random.uniform(0.1, 0.8, 3 * ROWS)
        rings = np.round(3 + 20 * length + (sex == "I") * -3 + random.normal(0, 1, 3 * ROWS))
        self.table = {"sex": sex.tolist(), "length": length.tolist(), "rings": rings.tolist()}
        rows = zip(*(values[:ROWS] for values in self.table.values()), strict=True)
        lines = "".join(f"{s},{x},{y}\n" for s, x, y in rows)
        self.holdout = runtime.put("holdout/labelled.csv", lines.encode())
        self.champion = self.package("champion", num_round=CHAMPION_ROUNDS)

    def train(self, num_round: int) -> tuple[xgboost.Booster, FeatureTransform]:
        """Train on the rows that are not in the holdout."""
        table = {column: values[ROWS:] for column, values in self.table.items()}
        transform = FeatureTransform.fit(COLUMNS, table)
        data = xgboost.DMatrix(transform.apply(table), label=table["rings"])
        return xgboost.train({"eta": 0.2, "max_depth": 3, "seed": 1}, data, num_round), transform

    def mse(self, num_round: int) -> float:
        """Return the error of a model on the holdout."""
        model, transform = self.train(num_round)
        held = {column: values[:ROWS] for column, values in self.table.items()}
        return float(np.mean((model.predict(xgboost.DMatrix(transform.apply(held))) - held["rings"]) ** 2))

    def package(self, name: str, *, num_round: int) -> str:
        """Register a model; return the ARN of its package."""
        model, transform = self.train(num_round)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            content = bytes(model.save_raw("ubj"))
            member = tarfile.TarInfo("xgboost-model")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        sagemaker = self.runtime.client("sagemaker")
        if not sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
            sagemaker.create_model_package_group(ModelPackageGroupName="abalone")
        container = {
            "Image": XGBOOST,
            "ModelDataUrl": self.runtime.put(f"{name}/model.tar.gz", archive.getvalue()),
        }
        answer = sagemaker.create_model_package(
            ModelPackageGroupName="abalone",
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
            CustomerMetadataProperties={
                "feature_transform": self.runtime.put(f"{name}/transform.json", transform.to_json().encode())
            },
        )
        return str(answer["ModelPackageArn"])

    def compare(self, challenger: str, **values: object) -> str:
        """Compare a package with the champion, and return the ARN of the execution."""
        both = {"Challenger": challenger, "Champion": self.champion}
        models = {name: packaged_model(self.target.sagemaker, arn) for name, arn in both.items()}
        parameters = {
            "Holdout": self.holdout,
            "Metric": "mse",
            "LargerIsBetter": "false",
            "Resamples": 200,
            **values,
        }
        for name, model in models.items():
            parameters |= {
                f"{name}PackageArn": model.arn,
                f"{name}Image": model.image,
                f"{name}ModelDataUrl": model.model_data_url,
                f"{name}Transform": model.transform_uri,
            }
        arn = self.target.start(self.envelope, parameters)
        self.runtime.wait(arn)
        return arn

    def report(self, arn: str) -> dict[str, Any]:
        uri = read_gate(self.target.sagemaker, arn).report_uri
        found: dict[str, Any] = json.loads(self.runtime.get(uri))
        return found


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("runtime"), port=0))
    yield Registry(runtime)
    runtime.close()


@pytest.mark.parametrize(
    ("rounds", "margin", "wins"),
    [(40, 0.1, True), (40, 1.0, False), (CHAMPION_ROUNDS, 0.0, False), (4, 0.0, False)],
    ids=["better", "better by less than the margin", "equal", "worse"],
)
def test_a_challenger_wins_only_if_it_is_better(
    registry: Registry, rounds: int, margin: float, wins: bool
) -> None:
    challenger = registry.package("challenger", num_round=rounds)
    arn = registry.compare(challenger, Margin=margin)
    client = registry.target.sagemaker
    reading, report = read_gate(client, arn), registry.report(arn)
    found = read_comparison(client, arn, threshold=6.0)
    assert (found.wins, found.execution_arn, found.report_uri) == (wins, arn, reading.report_uri)
    assert ("more than the margin" in found.reason) == wins or "not better by more" in found.reason
    assert (found.difference, found.rows, len(found.slices)) == (report["difference"], ROWS, 3)
    assert (reading.passed, execution_outcome(client, arn).rejected) == (wins, not wins)
    assert report["challenger"] == {"arn": challenger, "value": pytest.approx(registry.mse(rounds), rel=1e-4)}
    assert report["champion"]["value"] == pytest.approx(registry.mse(CHAMPION_ROUNDS), rel=1e-4)
    low, high = report["interval"]
    assert low <= report["difference"] <= high
    assert (low < 0, high > 0) == ((True, False) if rounds == 40 else (False, rounds == 4))
    assert report["rows"] == sum(part["rows"] for part in report["slices"]) == ROWS
    assert [part["name"] for part in report["slices"]] == ["sex=F", "sex=I", "sex=M"]


def test_a_holdout_with_a_bad_row_fails_with_its_line(registry: Registry) -> None:
    holdout = registry.runtime.put("broken/labelled.csv", b"F,0.3,9\n" * 30 + b"M,0.4,\n")
    arn = registry.compare(registry.champion, Holdout=holdout)
    with pytest.raises(ExecutionFailedError, match=r"line 31, column 3 \(label\): the cell is empty"):
        execution_outcome(registry.target.sagemaker, arn)


@pytest.mark.parametrize(
    ("report", "message"),
    [({"wins": 1}, "KeyError"), ({"wins": 1, **RULE}, "expected all three")],
)
def test_a_report_that_is_not_a_comparison_is_refused(
    registry: Registry, report: dict[str, Any], message: str
) -> None:
    """As a comparison pipeline of one's own may write it."""
    registry.runtime.put("own/comparison.json", json.dumps(report).encode())
    arn = registry.runtime.execute(_copying(registry.runtime))["PipelineExecutionArn"]
    with pytest.raises(EvaluationError, match=message):
        read_comparison(registry.target.sagemaker, arn, threshold=6.0)


def _copying(runtime: LocalRuntime) -> dict[str, Any]:
    """Return a pipeline whose report is an object in S3."""
    source, target = "/opt/ml/processing/input", "/opt/ml/processing/output"
    copy = job("Compare", f"import shutil; shutil.copytree({source!r}, {target!r}, dirs_exist_ok=True)")
    file = {"S3DataType": "S3Prefix", "S3InputMode": "File"}
    read = {"S3Uri": f"s3://{runtime.bucket}/own", "LocalPath": source, **file}
    written = {"S3Uri": f"s3://{runtime.bucket}/out", "LocalPath": target, "S3UploadMode": "EndOfJob"}
    copy["Arguments"] |= {
        "ProcessingInputs": [{"InputName": "own", "S3Input": read}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": written}]},
    }
    name = {"PropertyFileName": "Report", "OutputName": "out", "FilePath": "comparison.json"}
    path = {"PropertyFile": {"Get": "Steps.Compare.PropertyFiles.Report"}, "Path": "wins"}
    wins = {"Type": "GreaterThanOrEqualTo", "LeftValue": {"Std:JsonGet": path}, "RightValue": 1}
    gate = {"Conditions": [wins], "IfSteps": [], "ElseSteps": []}
    return pipeline(
        {**copy, "PropertyFiles": [name]}, {"Name": "Gate", "Type": "Condition", "Arguments": gate}
    )
