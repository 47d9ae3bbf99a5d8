"""Write what a version of the package leaves in Airflow's database, in that version's own code.

Run it in a checkout of that version, and keep what it writes beside this file, under the commit's name::

    git worktree add /tmp/version COMMIT && cd /tmp/version
    PYTHONPATH=.:plugins python <this file> <this folder>/COMMIT.json

It runs ``abalone_train`` twice against the local runtime, accepted and rejected.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HOME = tempfile.mkdtemp(prefix="airflow-home-")
# Airflow reads its configuration when it is imported.
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(Path("dags").resolve()),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path("plugins").resolve()),
}

ARN = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/abalone/execution/abcdefgh1234"
AWS: dict[str, Any] = {
    "aws_conn_id": "aws_eu",
    "region_name": "eu-west-1",
    "verify": "/etc/ssl/ca.pem",
    "botocore_config": {"retries": {"max_attempts": 4}},
}
QUEUE: dict[str, Any] = {
    "queue": "arrivals",
    "unmatched": "delete",
    "wait_time_seconds": 5,
    "visibility_timeout": 60,
}


def triggers() -> list[list[Any]]:
    """Return what Airflow stores of each trigger: with every argument, and with the required ones alone."""
    from sagemaker_pipelines.triggers.events import (
        S3ObjectCreatedTrigger,
        SageMakerPipelineExecutionEndedTrigger,
    )
    from sagemaker_pipelines.triggers.partitions import SageMakerPartitionsTrigger
    from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger

    uris = ["s3://example/dt=2026-01-01/", "s3://example/dt=2026-01-02/"]
    made = [
        SageMakerPipelineExecutionTrigger(
            pipeline_execution_arn=ARN, waiter_delay=30, deadline=1780000000.5, stop_on_kill=False, **AWS
        ),
        SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN),
        SageMakerPartitionsTrigger(uris=uris, waiter_delay=30, deadline=1780000000.5, **AWS),
        SageMakerPartitionsTrigger(uris=uris, waiter_delay=30, deadline=1780000000.5),
        S3ObjectCreatedTrigger(uri_prefix="s3://example/", uri_suffix="/_SUCCESS", **QUEUE, **AWS),
        S3ObjectCreatedTrigger(uri_prefix="s3://example/", queue="arrivals"),
        SageMakerPipelineExecutionEndedTrigger(
            pipeline_name="abalone", statuses=["Succeeded", "Failed"], include_own=True, **QUEUE, **AWS
        ),
        SageMakerPipelineExecutionEndedTrigger(pipeline_name=None, queue="arrivals"),
    ]
    return [list(trigger.serialize()) for trigger in made]


def trigger_events() -> list[dict[str, Any]]:
    """Return what a wait's trigger tells its task, which may go on only after an upgrade."""
    from sagemaker_pipelines.triggers.pipeline import SageMakerPipelineExecutionTrigger

    trigger = SageMakerPipelineExecutionTrigger(pipeline_execution_arn=ARN)
    told = [
        trigger._event("ended", status="Succeeded"),
        trigger._event("timeout"),
        trigger._event("error", message="AccessDenied: no"),
    ]
    return [dict(event.payload) for event in told]


def records() -> list[list[Any]]:
    """Return key and value of the task state store's entries, of waits and starts that were cut off."""
    from sagemaker_pipelines.task.records import StartRecord, WaitRecord, Witness

    kept: dict[str, Any] = {}
    store = type("Store", (), {"set": lambda self, key, value: kept.update({key: value})})()
    witness = Witness(max_tries=2, clear_number=1)
    request = {"PipelineName": "abalone", "ClientRequestToken": "0" * 64}
    made = []
    for record in (
        StartRecord(generation="0" * 32, request=request, witness=witness),
        WaitRecord(pipeline_execution_arn=ARN, witness=witness),
        WaitRecord(pipeline_execution_arn=ARN, witness=witness, seen="failed", resumes=2),
        WaitRecord(
            pipeline_execution_arn=ARN, witness=witness, seen="stopped", resumes=1, resume_delivered=True
        ),
    ):
        record.save({"task_state_store": store})
        made.append([type(record).KEY, kept[type(record).KEY]])
    return made


def run(conf: dict[str, Any]) -> dict[str, Any]:
    """Run the DAG in this process and return its XComs and the entries of its tasks' state stores."""
    import sqlalchemy
    from airflow.dag_processing.dagbag import DagBag

    ended = DagBag().dags["abalone_train"].test(run_conf=conf)
    engine = sqlalchemy.create_engine(f"sqlite:///{HOME}/airflow.db")
    with engine.connect() as connection:
        tables = {
            table: connection.execute(
                sqlalchemy.text(f"select task_id, key, value from {table} where run_id = :run order by 1, 2"),
                {"run": ended.run_id},
            ).all()
            for table in ("xcom", "task_state_store")
        }
    return {
        "run_id": ended.run_id,
        "xcoms": [
            [task, key, json.loads(value) if isinstance(value, str) else value]
            for task, key, value in tables["xcom"]
        ],
        "records": [[task, key, json.loads(value)] for task, key, value in tables["task_state_store"]],
    }


def main() -> None:
    from sagemaker_local_runtime.server import LocalServer
    from sagemaker_local_runtime.settings import Settings
    from stack.bootstrap import bootstrap
    from stack.settings import StackSettings
    from tests.compose import read_env_file

    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with LocalServer(Settings(data_dir=Path(tempfile.mkdtemp()), port=0)) as server:
        bootstrap(StackSettings(runtime_port=int(server.endpoint_url.rpartition(":")[2])))
        connection = json.loads(read_env_file(Path("docker/local.env"))["AIRFLOW_CONN_AWS_DEFAULT"])
        connection["extra"]["endpoint_url"] = server.endpoint_url
        os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(connection)
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
        runs = {name: run(conf) for name, conf in (("accepted", {}), ("rejected", {"MseThreshold": 3.0}))}
    found = {
        "triggers": triggers(),
        "trigger_events": trigger_events(),
        "records": records(),
        "runs": runs,
    }
    sys.stderr.write(f"{len(json.dumps(found))} characters\n")
    # Airflow logs to stdout while the DAG runs.
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
