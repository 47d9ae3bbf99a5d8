"""docs/examples/drift.py and score_approved.py: from a violation to scored rows of the second account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import RuntimeProcess
from sagemaker_local_runtime.testing_client import Endpoint
from sagemaker_pipelines.aws.upsert import upsert_pipeline
from sagemaker_pipelines.definition import Envelope
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from stack.airflow_env import aws_connection
from stack.bootstrap import DATA_FILE, split_data, upload
from stack.settings import ROOT, StackSettings
from tests.e2e.deciding import EXAMPLES, airflow_of, answer, ended, question, unpause
from tests.e2e.project.conftest import Airflow, Run
from tests.waiting import patiently

pytestmark = pytest.mark.thorough

RETRAIN, SCORE = "retrain_on_drift", "score_approved"
# What the examples name.
REPORTS, REPORT = "example-ml-artifacts", "monitoring/abalone/2026/02/05/03/constraint_violations.json"
PREFIX = "prod-"
DATA = split_data(DATA_FILE)
DEFINITIONS = ROOT / "dags" / "definitions"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The second account, whose queue gets the approvals of model packages."""
    folder = tmp_path_factory.mktemp("production")
    runtime = RuntimeProcess(Settings(data_dir=folder, port=0, region="eu-west-1", account_id="222222222222"))
    runtime.put(f"{PREFIX}abalone/data/holdout/holdout.csv", DATA["holdout/holdout.csv"])
    pattern = json.loads((ROOT / "docs" / "events" / "model-packages-rule.json").read_text())
    pattern["detail"]["ModelPackageGroupName"] = [f"{PREFIX}abalone"]
    events = runtime.client("events")
    events.put_rule(Name="approved", EventPattern=json.dumps(pattern))
    queue = queue_arn(runtime.client("sqs"), "abalone-packages")
    events.put_targets(Rule="approved", Targets=[{"Id": "queue", "Arn": queue}])
    yield runtime
    runtime.close()


def queue_arn(sqs: Any, name: str) -> str:
    """Create a queue and return its ARN."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return str(attributes["QueueArn"])


def production_connection(runtime: Endpoint) -> dict[str, Any]:
    settings = {
        "artifact_bucket": runtime.bucket,
        "environment": "production",
        "role_arn": runtime.role_arn,
        "name_prefix": PREFIX,
    }
    extra = {
        "region_name": runtime.settings.region,
        "endpoint_url": runtime.endpoint_url,
        "service_config": {"sagemaker": settings},
    }
    return {"conn_type": "aws", "login": "airflow", "password": "airflow", "extra": extra}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, production: Endpoint) -> Iterator[Airflow]:
    def variables(_: StackSettings) -> dict[str, str]:
        return {
            "AIRFLOW_CONN_AWS_PRODUCTION": json.dumps(production_connection(production)),
            # The laptop's setting lets no schedule make runs, and a schedule is what an asset is here.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        }

    files = [EXAMPLES / "drift.py", EXAMPLES / "score_approved.py"]
    with airflow_of(tmp_path_factory.mktemp("drift"), files, prepare=variables) as airflow:
        notification = {
            "QueueArn": queue_arn(airflow.client("sqs"), "abalone-drift"),
            "Events": ["s3:ObjectCreated:*"],
        }
        s3 = airflow.client("s3")
        s3.create_bucket(Bucket=REPORTS)
        s3.put_bucket_notification_configuration(
            Bucket=REPORTS, NotificationConfiguration={"QueueConfigurations": [notification]}
        )
        unpause(airflow, {RETRAIN, SCORE})
        yield airflow


@pytest.fixture(scope="module")
def champion(airflow: Airflow) -> str:
    """The ARN of a model of few rows, which is in use when the data drift."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws_connection(airflow.settings)))
        upsert_pipeline(SageMakerPipelineHook().client, Envelope.load(DEFINITIONS / "abalone.json"))
    settings = airflow.settings
    runtime = Endpoint(settings.runtime_url, Settings(data_dir=settings.runtime_data_dir))
    few = f"s3://{settings.bucket}/abalone/data/train/dt=2026-01-01/"
    arn = runtime.start(
        "abalone", {"InputData": few, "MseThreshold": "50", "ModelApprovalStatus": "Approved"}
    )
    assert runtime.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    package = str(runtime.steps(arn)["AbaloneRegisterModel"]["Metadata"]["RegisterModel"]["Arn"])
    runtime.close()
    return package


def test_drifted_data_lead_to_scored_rows_of_the_second_account(
    airflow: Airflow, production: Endpoint, champion: str
) -> None:
    (partition,) = upload(airflow.settings, {"train/dt=2026-02-05/abalone.csv": DATA["train/abalone.csv"]})
    s3 = airflow.client("s3")
    # Model Monitor writes a report for every hour, and this one causes no run.
    s3.put_object(Bucket=REPORTS, Key=REPORT.replace("/03/", "/02/"), Body=b'{"violations": []}')
    s3.put_object(Bucket=REPORTS, Key=REPORT, Body=b'{"violations": [{"feature_name": "length"}]}')
    (run,) = patiently(lambda: airflow.api.runs(RETRAIN), "the violation's run")
    run_id = run["dag_run_id"]
    asked = question(airflow.api, RETRAIN, run_id)
    assert champion.rpartition(":model-package/")[2] in asked["body"]
    assert airflow.api.runs(SCORE) == []
    answer(airflow.stack, RETRAIN, run_id, "Approve", "the data have changed")
    retrained = ended(airflow, RETRAIN, run_id)
    assert retrained.state == "success", retrained.tasks
    values = airflow.sagemaker.execution_parameters(airflow.execution_arn(retrained))
    assert values["InputData"] == partition.removesuffix("abalone.csv")

    scored = scoring(airflow, number=1)
    chosen = airflow.api.xcom(SCORE, scored.run_id, "choose_inputs")
    decision = airflow.api.xcom(RETRAIN, run_id, "approve_model", "decision")
    package = production.client("sagemaker").describe_model_package(
        ModelPackageName=chosen["ModelPackageArn"]
    )
    assert package["CustomerMetadataProperties"]["promoted_from"] == decision["model_package_arn"]
    # The registry of the second account has the answer that was given in the first one.
    assert "reason: the data have changed" in package["ApprovalDescription"]
    predictions = production.get(f"{chosen['OutputPrefix']}/predictions/holdout.csv.out").decode().split()
    assert len(predictions) == DATA["holdout/holdout.csv"].count(b"\n")

    # A newer model is approved, and then the first one again, which stays behind it.
    kept = ("ModelPackageGroupName", "InferenceSpecification", "CustomerMetadataProperties")
    registry = production.client("sagemaker")
    newer = registry.create_model_package(**{name: package[name] for name in kept})["ModelPackageArn"]
    registry.update_model_package(ModelPackageArn=newer, ModelApprovalStatus="Approved")
    second = scoring(airflow, number=2)
    assert airflow.api.xcom(SCORE, second.run_id, "choose_inputs")["ModelPackageArn"] == newer
    for status in ("Rejected", "Approved"):
        registry.update_model_package(ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus=status)
    third = scoring(airflow, number=3)
    assert (third.tasks["select_events"], third.tasks["choose_inputs"]) == ("success", "skipped")
    assert (
        len(registry.list_pipeline_executions(PipelineName=f"{PREFIX}scoring")["PipelineExecutionSummaries"])
        == 2
    )


def scoring(airflow: Airflow, *, number: int) -> Run:
    """Return the first, second, ... run that an approval has started, once it has ended in success."""
    runs = patiently(
        lambda: found if len(found := airflow.api.runs(SCORE)) == number else None, f"run {number} of {SCORE}"
    )
    run = ended(airflow, SCORE, runs[0]["dag_run_id"])
    assert run.state == "success", run.tasks
    return run
