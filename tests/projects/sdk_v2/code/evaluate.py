"""Score the test rows with the trained model, and report the area under the ROC curve."""

import json
import tarfile
from pathlib import Path

import pandas as pd  # noqa: TID253
import xgboost  # noqa: TID253
from sklearn.metrics import roc_auc_score  # noqa: TID253

ROOT = Path("/opt/ml/processing")

if __name__ == "__main__":
    with tarfile.open(ROOT / "model" / "model.tar.gz") as archive:
        archive.extractall(".", filter="data")
    model = xgboost.Booster()
    model.load_model("xgboost-model")
    rows = pd.read_csv(ROOT / "test" / "test.csv", header=None)
    scores = model.predict(xgboost.DMatrix(rows.iloc[:, 1:].to_numpy()))
    report = {"binary_classification_metrics": {"auc": {"value": roc_auc_score(rows[0], scores)}}}
    (ROOT / "evaluation").mkdir(parents=True, exist_ok=True)
    (ROOT / "evaluation" / "evaluation.json").write_text(json.dumps(report))
