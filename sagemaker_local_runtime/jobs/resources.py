"""The description of the machines that containers are given."""

from __future__ import annotations

from typing import Any

from sagemaker_local_runtime.jobs.job import Job

HOST = "algo-1"


def host_names(count: int) -> list[str]:
    """Return the names of a cluster's instances: ``algo-1`` and so on."""
    return [f"algo-{number}" for number in range(1, count + 1)]


def resource_config(
    instance_type: str | None, host: str = HOST, hosts: list[str] | None = None
) -> dict[str, Any]:
    """Return the content of ``resourceconfig.json``.

    :param instance_type: the requested instance type.
    :param host: the name of the instance that it is for.
    :param hosts: the names of all instances; by default there is this one only.
    """
    kind, hosts = instance_type or "ml.m5.xlarge", hosts or [host]
    return {
        "current_host": host,
        "current_instance_type": kind,
        "current_group_name": "homogeneousCluster",
        "hosts": hosts,
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": hosts}
        ],
        "network_interface_name": "lo",
    }


def log_instance_count(job: Job, count: int) -> None:
    """Note in the job's log that only one machine is used."""
    if count > 1:
        job.log.add_line(f"InstanceCount is {count}: the local runtime runs the job once, on one machine.")
