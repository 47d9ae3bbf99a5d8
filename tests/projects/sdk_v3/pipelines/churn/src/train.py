"""Fit a logistic regression, and print its accuracy."""

import json
import os
from pathlib import Path

import customers
from sklearn.linear_model import LogisticRegression
from tabulate import tabulate

iterations = json.loads(os.environ["SM_HPS"])["iterations"]
rows = {name: customers.read(os.environ[f"SM_CHANNEL_{name.upper()}"]) for name in ("train", "test")}
model = LogisticRegression(max_iter=int(iterations))
model.fit([row[:-1] for row in rows["train"]], [row[-1] for row in rows["train"]])
accuracy = model.score([row[:-1] for row in rows["test"]], [row[-1] for row in rows["test"]])
print(tabulate([("accuracy", accuracy)]))
Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps({"accuracy": accuracy}))
