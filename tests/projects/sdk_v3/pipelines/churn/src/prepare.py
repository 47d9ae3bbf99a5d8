"""Split the customers into those to train with and those to test with."""

import argparse

import customers
from tabulate import tabulate

parser = argparse.ArgumentParser()
parser.add_argument("--test-share", type=float)
share = parser.parse_args().test_share

rows = customers.read("/opt/ml/processing/input/customers")
step = round(1 / share)
split = {"test": rows[::step], "train": [row for index, row in enumerate(rows) if index % step]}
for name, part in split.items():
    customers.write(f"/opt/ml/processing/output/{name}", part)
print(tabulate([(name, len(part)) for name, part in split.items()], headers=["part", "rows"]))
