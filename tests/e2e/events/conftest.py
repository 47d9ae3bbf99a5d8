"""A stack of its own for the example of docs/events.md: the tests kill parts of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagemaker_local_runtime.images.ports import free_port
from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing_client import Endpoint
from sagemaker_pipelines.exceptions import AirflowRequestError
from stack.lifecycle import Stack
from stack.settings import ROOT, StackSettings
from tests.e2e.crash.harness import ENDED, SOON, Harness
from tests.waiting import PATIENT

BUCKET, PREFIX, PIPELINE = "example-ml-artifacts", "abalone/data/train/", "abalone"
WATCHED = (
    "train_on_new_data",
    "look_at_executions",
    "read_arrivals",
    "check_abalone_data_callbacks",
    "hold_callbacks",
    "late_callbacks",
)
DAGS = (*WATCHED, "check_abalone_data", "hold", "late")
# Short, so that what a killed triggerer has received comes again within the test.
VISIBILITY_SECONDS = "10"


class EventStack(Harness):
    """The account of docs/events.md, and an Airflow with its example.

    :param folder: everything it writes.
    """

    def __init__(self, folder: Path) -> None:
        dags = folder / "dags"
        shutil.copytree(Path(__file__).parent / "dags", dags)
        for example in ("new_data.py", "data_check.py"):
            shutil.copy(ROOT / "docs" / "examples" / example, dags)
        self.settings = StackSettings(
            state_dir=folder / "stack",
            airflow_port=free_port(),
            runtime_port=free_port(),
            dags_folder=dags,
        )
        self._env = {
            **SOON,
            **PATIENT,
            # The laptop's setting lets no schedule make runs, and a schedule is what an asset is here.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        }
        self.stack = Stack(self.settings, extra_env=self._env)
        self.api = self.stack.api
        self.endpoint = Endpoint(self.settings.runtime_url, Settings(data_dir=self.settings.runtime_data_dir))
        self.sagemaker = self.endpoint.client("sagemaker", retries=3)
        self._orphaned_groups: list[int] = []

    def up(self) -> EventStack:
        """Start everything, and prepare the account."""
        self.stack.up()
        try:
            self._prepare_account()
            self.until(lambda: set(DAGS) <= set(self.api.dag_ids()), "the DAG files to be read")
            assert not self.api.import_errors()
            for dag_id in DAGS:
                self.api.unpause(dag_id)
            # Whichever test comes first may stop the triggerer.
            self.until(
                lambda: self.endpoint.calls().get("sqs:ReceiveMessage", 0) >= len(WATCHED), "the watchers"
            )
        except BaseException:
            self.close()
            raise
        return self

    def _prepare_account(self) -> None:
        data, executions = self._create_queue("abalone-data"), self._create_queue("abalone-executions")
        self.endpoint.client("s3").create_bucket(Bucket=BUCKET)
        for queue in ("arrivals", "abalone-checks", "hold", "late"):
            self._create_queue(queue)
        notify = {"QueueArn": data, "Events": ["s3:ObjectCreated:*"]}
        self.endpoint.client("s3").put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [notify]}
        )
        rule = json.loads((ROOT / "docs" / "events" / "rule.json").read_text())
        events = self.endpoint.client("events")
        events.put_rule(Name="executions", EventPattern=json.dumps(rule))
        events.put_targets(Rule="executions", Targets=[{"Id": "queue", "Arn": executions}])
        condition = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
        arguments = {"Conditions": [condition], "IfSteps": [], "ElseSteps": []}
        definition = {
            "Version": "2020-12-01",
            "Parameters": [{"Name": "InputData", "Type": "String", "DefaultValue": "s3://none/"}],
            "Steps": [{"Name": "Decide", "Type": "Condition", "Arguments": arguments}],
        }
        self.endpoint.create_pipeline(definition, PIPELINE)

    def _create_queue(self, name: str) -> str:
        sqs = self.endpoint.client("sqs")
        url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": VISIBILITY_SECONDS})[
            "QueueUrl"
        ]
        arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        return arn

    def deliver(self, day: str) -> str:
        """Let a partition arrive, and return its URI."""
        key = f"{PREFIX}dt={day}/_SUCCESS"
        self.endpoint.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"")
        return f"s3://{BUCKET}/{PREFIX}dt={day}/"

    def send(self, body: str, queue: str = "abalone-data") -> None:
        """Send a message by hand."""
        self.endpoint.client("sqs").send_message(QueueUrl=self.queue_url(queue), MessageBody=body)

    def queue_url(self, queue: str) -> str:
        """Return the URL of a queue."""
        return str(self.endpoint.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])

    def messages(self, queue: str = "abalone-data") -> tuple[int, int]:
        """Return how many messages wait, and how many are received and not deleted."""
        # The server counts the two one after the other: one that becomes visible meanwhile is in neither.
        return max(self._messages(queue), self._messages(queue), key=sum)

    def _messages(self, queue: str) -> tuple[int, int]:
        sqs = self.endpoint.client("sqs")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.queue_url(queue)
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def asset_events(self, partition: str) -> int:
        """Return how many asset events Airflow has stored for a partition."""
        answer = self.until(self._asset_events, "Airflow's asset events")
        payloads = [event["extra"].get("payload", {}) for event in answer["asset_events"]]
        return sum(payload.get("partition_uri") == partition for payload in payloads)

    def _asset_events(self) -> dict[str, Any] | None:
        try:
            return self.api.call("GET", "/assets/events", limit=100)
        except AirflowRequestError as error:
            # Airflow 3.3.2, while a run that an event has made is queued: its start_date is no datetime.
            if "500" not in str(error):
                raise
            return None

    def inputs(self) -> list[str]:
        """Return the InputData of every execution."""
        found = self.sagemaker.list_pipeline_executions(PipelineName=PIPELINE)["PipelineExecutionSummaries"]
        return [self._input(summary["PipelineExecutionArn"]) for summary in found]

    def _input(self, arn: str) -> str:
        answer = self.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
        values = {pair["Name"]: pair["Value"] for pair in answer["PipelineParameters"]}
        return str(values["InputData"])

    def idle(self, dag_id: str) -> None:
        """Wait until no run of a DAG is active; there may be none at all."""
        self.until(
            lambda: all(run["state"] in ENDED for run in self.api.runs(dag_id)),
            f"the runs of {dag_id} to end",
        )

    def ended_runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return a DAG's runs, after there is one and all of them have ended."""

        def ended() -> list[dict[str, Any]]:
            runs = self.api.runs(dag_id)
            return runs if all(run["state"] in ENDED for run in runs) else []

        return list(self.until(ended, f"the runs of {dag_id} to end"))


@pytest.fixture(scope="package")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStack]:
    stack = EventStack(tmp_path_factory.mktemp("events")).up()
    yield stack
    stack.close()


@pytest.fixture(autouse=True)
def _whole(events: EventStack) -> None:
    events.repair()
