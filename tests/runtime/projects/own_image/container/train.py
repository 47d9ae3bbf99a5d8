"""Train the churn model: the image's entry point for training jobs."""

import json
import pathlib

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

INPUT = pathlib.Path("/opt/ml/input")


def main() -> None:
    parameters = json.loads((INPUT / "config/hyperparameters.json").read_text())
    table = pd.read_csv(INPUT / "data/train/train.csv")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=float(parameters["C"])))
    model.fit(table.drop(columns="churned"), table["churned"])
    joblib.dump(model, "/opt/ml/model/model.joblib")
    print(f"accuracy={model.score(table.drop(columns='churned'), table['churned']):.3f};")


if __name__ == "__main__":
    main()
