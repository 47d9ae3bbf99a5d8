"""Split the customers, encode what is text, and write files as the XGBoost container reads them."""

import argparse
from pathlib import Path

import pandas as pd  # noqa: TID253
from sklearn.model_selection import train_test_split  # noqa: TID253

ROOT = Path("/opt/ml/processing")

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    rows = pd.read_csv(next((ROOT / "input").glob("*.csv")))
    rows = pd.get_dummies(rows, columns=["plan"], dtype=int)
    rows.insert(0, "churned", rows.pop("churned"))
    train, rest = train_test_split(rows, test_size=0.3, random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, random_state=seed)
    for name, part in {"train": train, "validation": validation, "test": test}.items():
        (ROOT / name).mkdir(parents=True, exist_ok=True)
        part.to_csv(ROOT / name / f"{name}.csv", header=False, index=False)
