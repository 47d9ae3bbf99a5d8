"""A user of SDK v3 in a process of its own: a data quality and a model quality check in one pipeline.

Run by ``test_sdk_steps.py`` with the endpoint in the environment; the arguments are bucket and role. It
prints the steps of each execution, and then what a monitor suggests as a baseline.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3
from botocore.exceptions import WaiterError
from sagemaker.core.helper.session_helper import Session  # noqa: TID253 - it is the client under test
from sagemaker.core.model_monitor import (  # noqa: TID253 - it is the client under test
    DatasetFormat,
    DefaultModelMonitor,
)
from sagemaker.core.telemetry import telemetry_logging  # noqa: TID253 - as above
from sagemaker.core.workflow.functions import Join, JsonGet  # noqa: TID253 - as above
from sagemaker.core.workflow.parameters import ParameterBoolean, ParameterString  # noqa: TID253 - as above
from sagemaker.core.workflow.pipeline_context import PipelineSession  # noqa: TID253 - as above
from sagemaker.mlops.workflow.check_job_config import CheckJobConfig  # noqa: TID253 - as above
from sagemaker.mlops.workflow.fail_step import FailStep  # noqa: TID253 - as above
from sagemaker.mlops.workflow.pipeline import Pipeline  # noqa: TID253 - as above
from sagemaker.mlops.workflow.quality_check_step import (  # noqa: TID253 - as above
    DataQualityCheckConfig,
    ModelQualityCheckConfig,
    QualityCheckStep,
)


def suggested(bucket: str, role: str) -> Any:
    session = Session(boto_session=boto3.Session(), default_bucket=bucket)
    monitor = DefaultModelMonitor(role=role, instance_type="ml.m5.large", sagemaker_session=session)
    monitor.suggest_baseline(
        baseline_dataset=f"s3://{bucket}/data/rows.csv",
        dataset_format=DatasetFormat.csv(header=False),
        output_s3_uri=f"s3://{bucket}/suggested",
        logs=False,
    )
    return monitor.suggested_constraints().body_dict["features"][1]


def main(bucket: str, role: str) -> None:
    telemetry_logging._send_telemetry_request = lambda *_, **__: None
    session = PipelineSession(boto_session=boto3.Session(), default_bucket=bucket)
    first = ParameterBoolean("First", default_value=False)
    data, predictions = ParameterString("Data"), ParameterString("Predictions")
    statistics, constraints = (
        ParameterString(name, default_value="") for name in ("Statistics", "Constraints")
    )
    common: dict[str, Any] = {
        "check_job_config": CheckJobConfig(
            role=role, instance_count=1, instance_type="ml.m5.large", sagemaker_session=session
        ),
        "skip_check": first,
        "register_new_baseline": first,
    }
    features = QualityCheckStep(
        "Features",
        quality_check_config=DataQualityCheckConfig(
            baseline_dataset=data,
            dataset_format=DatasetFormat.csv(header=False),
            output_s3_uri=Join(on="/", values=["s3:/", bucket, "features"]),
        ),
        supplied_baseline_statistics=statistics,
        supplied_baseline_constraints=constraints,
        model_package_group_name="sdk",
        fail_on_violation=False,
        **common,
    )
    model = QualityCheckStep(
        "Model",
        quality_check_config=ModelQualityCheckConfig(
            baseline_dataset=predictions,
            dataset_format=DatasetFormat.json(lines=True),
            output_s3_uri=Join(on="/", values=["s3:/", bucket, "model"]),
            problem_type="Regression",
            inference_attribute="predicted",
            ground_truth_attribute="rings",
        ),
        supplied_baseline_statistics=f"s3://{bucket}/earlier/statistics.json",
        supplied_baseline_constraints=f"s3://{bucket}/earlier/constraints.json",
        **common,
    )
    statistics_uri = Join(on="", values=[model.properties.CalculatedBaselineStatistics])
    values = [
        JsonGet(s3_uri=statistics_uri, json_path="regression_metrics.mae.value"),
        features.properties.CalculatedBaselineStatistics,
        features.properties.BaselineUsedForDriftCheckConstraints,
        model.properties.CalculatedBaselineConstraints,
    ]
    report = FailStep("Report", error_message=Join(on=" ", values=values))
    pipeline = Pipeline(
        name="sdk-checks",
        parameters=[first, data, predictions, statistics, constraints],
        steps=[features, model, report],
        sagemaker_session=session,
    )
    pipeline.upsert(role)
    inputs = {"Data": f"s3://{bucket}/data/rows.csv", "Predictions": f"s3://{bucket}/data/predictions.jsonl"}
    drifted = {
        "Data": f"s3://{bucket}/data/drifted.csv",
        "Predictions": f"s3://{bucket}/data/worse.jsonl",
        "Statistics": f"s3://{bucket}/features/statistics.json",
        "Constraints": f"s3://{bucket}/features/constraints.json",
    }
    for parameters in ({**inputs, "First": True}, drifted):
        execution = pipeline.start(parameters=parameters)
        try:
            execution.wait(delay=1, max_attempts=300)
        except WaiterError as error:  # each of them fails
            print(error, file=sys.stderr)
        print(json.dumps(execution.list_steps(), default=str))
    print(json.dumps([suggested(bucket, role)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
