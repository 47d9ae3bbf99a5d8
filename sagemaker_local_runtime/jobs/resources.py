"""The description of the machine that containers are given; every job runs on one machine."""

from __future__ import annotations

from typing import Any

from sagemaker_local_runtime.jobs.job import Job

HOST = "algo-1"


def resource_config(instance_type: str | None) -> dict[str, Any]:
    """Return the content of ``resourceconfig.json``: one host, whatever the instance count.

    :param instance_type: the requested instance type.
    """
    kind = instance_type or "ml.m5.xlarge"
    return {
        "current_host": HOST,
        "current_instance_type": kind,
        "current_group_name": "homogeneousCluster",
        "hosts": [HOST],
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": [HOST]}
        ],
        "network_interface_name": "lo",
    }


def log_instance_count(job: Job, count: int) -> None:
    """Note in the job's log that only one machine is used."""
    if count > 1:
        job.log.add_line(f"InstanceCount is {count}: the local runtime runs the job once, on one machine.")
