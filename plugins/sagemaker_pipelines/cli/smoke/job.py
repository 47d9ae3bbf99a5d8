"""The job of the smoke pipeline: wait as long as the input says, then write a metric and a model's archive.

The definition next to this file names its hash.
"""

import json
import tarfile
import time
from pathlib import Path

FOLDER = Path("/opt/ml/processing")

if __name__ == "__main__":
    seconds = float((FOLDER / "input/wait/seconds.txt").read_text())
    print(f"waiting for {seconds:.0f} s", flush=True)
    time.sleep(seconds)
    report = {"regression_metrics": {"mse": {"value": 1.0}}}
    (FOLDER / "output/report/report.json").write_text(json.dumps(report))
    with tarfile.open(FOLDER / "output/model/model.tar.gz", "w:gz") as archive:
        archive.add(__file__, arcname="job.py")
    print("mse: 1.0", flush=True)
