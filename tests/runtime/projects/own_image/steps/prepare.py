"""Split the customers into rows to train with and rows to score."""

import pathlib

import pandas as pd

OUTPUT = pathlib.Path("/opt/ml/processing/output")

customers = pd.read_csv("/opt/ml/processing/input/customers.csv")
train = customers.sample(frac=0.8, random_state=7)
rest = customers.drop(train.index)
for name in ("train", "batch"):
    (OUTPUT / name).mkdir(parents=True, exist_ok=True)
train.to_csv(OUTPUT / "train/train.csv", index=False)
rest.drop(columns="churned").to_csv(OUTPUT / "batch/batch.csv", index=False, header=False)
