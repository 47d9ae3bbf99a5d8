"""Analyze a data set inside a processing job; the argument is ``/opt/ml``.

The environment says what to do, as it does for AWS's container:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-contract-inputs.html
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from sagemaker_local_runtime.images.exceptions import UserInputError
from sagemaker_local_runtime.images.model_monitor.dataset import Dataset, read_dataset

# What AWS's container can do and this one cannot.
_REFUSED = ("record_preprocessor_script", "post_analytics_processor_script")


class Analysis(Protocol):
    """What is known about one data set."""

    #: The content of statistics.json.
    statistics: dict[str, Any]

    def suggest(self) -> dict[str, Any]:
        """Return the constraints that the data set itself satisfies: the content of constraints.json."""
        ...

    def violations(self, constraints: Any, statistics: Any) -> list[dict[str, str]]:
        """Return where the data set does not satisfy a baseline: the content of its two files."""
        ...


def main(environment: Mapping[str, str]) -> str:
    """Write the reports and return the exit message.

    :param environment: the job's environment variables.
    :raises UserInputError: they, the data set or the baseline cannot be used.
    """
    for name in _REFUSED:
        if environment.get(name):
            raise UserInputError(f"{name} is not supported by the local runtime. Remove it from the check.")
    output = Path(_required(environment, "output_path"))
    dataset = read_dataset(
        Path(_required(environment, "dataset_source")), _required(environment, "dataset_format")
    )
    analysis = _analyze(dataset, environment)
    reports = {"statistics": analysis.statistics, "constraints": analysis.suggest()}
    found: list[dict[str, str]] = []
    if "baseline_constraints" in environment:
        found = _violations(analysis, environment)
        reports["constraint_violations"] = {"violations": found}
    output.mkdir(parents=True, exist_ok=True)
    for name, report in reports.items():
        (output / f"{name}.json").write_text(json.dumps(report, indent=2))
    # The words of https://github.com/aws-samples/custom-metrics-for-sagemaker-model-monitor
    if found:
        return f"CompletedWithViolations: Job completed successfully with {len(found)} violations."
    return "Completed: Job completed successfully with no violations."


def _analyze(dataset: Dataset, environment: Mapping[str, str]) -> Analysis:
    # Each needs libraries that take a second to import, and the other one does not need.
    if environment.get("analysis_type", "DATA_QUALITY") == "MODEL_QUALITY":
        from sagemaker_local_runtime.images.model_monitor.model_quality import ModelQuality

        return ModelQuality(dataset, environment)
    from sagemaker_local_runtime.images.model_monitor.data_quality import DataQuality

    return DataQuality(dataset)


def _violations(analysis: Analysis, environment: Mapping[str, str]) -> list[dict[str, str]]:
    paths = [Path(_required(environment, f"baseline_{kind}")) for kind in ("constraints", "statistics")]
    try:
        constraints, statistics = (json.loads(path.read_text()) for path in paths)
        return analysis.violations(constraints, statistics)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        names = " and ".join(path.name for path in paths)
        raise UserInputError(
            f"The baseline in {names} cannot be read ({type(error).__name__}: {error}). Expected the files "
            "constraints.json and statistics.json of a check of the same type."
        ) from error


def _required(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise UserInputError(f"The environment variable {name} is missing. Add it to the Environment.")
    return environment[name]


if __name__ == "__main__":
    message = Path(sys.argv[1]) / "output" / "message"
    try:
        text, code = main(os.environ), 0
    except UserInputError as failure:
        text, code = str(failure), 1
    print(text)
    message.write_text(text)
    sys.exit(code)
