"""Processing jobs: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.images.catalog import Catalog
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.kinds import PROCESSING, check_local_path
from sagemaker_local_runtime.jobs.process import ProcessEnd
from sagemaker_local_runtime.jobs.program import JobProgram
from sagemaker_local_runtime.jobs.resources import host_names, resource_config
from sagemaker_local_runtime.jobs.staging import check_s3_source, stage_s3_source
from sagemaker_local_runtime.services.storage import split_uri
from sagemaker_local_runtime.validation import Check

_MESSAGE = "/opt/ml/output/message"
_CONFIG = "/opt/ml/config"


class ProcessingProgram(JobProgram):
    """Run the command of a processing container on its inputs and upload the outputs.

    :param images: what stands in for which image.
    """

    kind = PROCESSING
    described = (
        "ProcessingInputs",
        "ProcessingOutputConfig",
        "ProcessingResources",
        "StoppingCondition",
        "AppSpecification",
        "Environment",
        "NetworkConfig",
        "RoleArn",
        "ExperimentConfig",
    )

    def __init__(self, images: Catalog) -> None:
        self._images = images

    @staticmethod
    def checks(request: dict[str, Any]) -> Iterator[Check]:
        """Refuse inputs and outputs that are not in S3."""
        for item in request.get("ProcessingInputs", []):
            yield partial(_check_input, item)
        for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            yield partial(_check_output, item)

    def validate(self, request: dict[str, Any]) -> None:
        """Refuse images without a local program, and what the checks refuse."""
        application = request["AppSpecification"]
        image = self._images.find(application["ImageUri"])
        if not application.get("ContainerEntrypoint") and not image.process:
            raise ValidationError(
                "AppSpecification.ContainerEntrypoint is missing, and the image has no known entry point. "
                f"Add it, or add `process` to the entry of {image.uri} in images.toml."
            )
        for check in self.checks(request):
            check()

    def run(self, job: Job) -> dict[str, Any]:
        """Run the command on each instance, with its share of the inputs, and upload the outputs."""
        cluster = job.document["ProcessingResources"]["ClusterConfig"]
        hosts = host_names(cluster.get("InstanceCount", 1))
        job.update(ProcessingStartTime=time.time())
        instances = [job, *(job.on_host(host) for host in hosts[1:])]
        try:
            # The thread that starts a process must outlive it.
            with ThreadPoolExecutor(len(hosts)) as pool:
                runs = [
                    pool.submit(self._run_on, instance, host, hosts)
                    for instance, host in zip(instances, hosts, strict=True)
                ]
                ends = [run.result() for run in runs]
        finally:
            for instance in instances[1:]:
                instance.log.close()
        for instance, ended in zip(instances, ends, strict=True):
            message = instance.read_message(_MESSAGE)
            if message:
                job.update(ExitMessage=message)
            instance.require_success(ended, message)
        _upload_outputs(job, dict(zip(hosts, instances, strict=True)))
        return {}

    def _run_on(self, job: Job, host: str, hosts: list[str]) -> ProcessEnd:
        """Stage the inputs of one instance and run its command."""
        request = job.document
        image = self._images.find(request["AppSpecification"]["ImageUri"])
        job.packages.use(image)
        for item in request.get("ProcessingInputs", []):
            _stage_input(job, item, hosts.index(host), len(hosts))
        for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            if "S3Output" in item and item["S3Output"].get("LocalPath"):
                job.folder.host_path(item["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
        self._write_configs(job, host, hosts)
        application = request["AppSpecification"]
        command = application.get("ContainerEntrypoint") or image.process or ()
        command = [*command, *application.get("ContainerArguments", [])]
        return job.execute(command, request.get("Environment", {}))

    def ended(self, job: Job, status: str, *, timed_out: bool) -> dict[str, Any]:
        """Return the reason of a timeout."""
        if not timed_out:
            return {}
        seconds = job.document.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        limit = seconds or job.longest_seconds
        return {"ExitMessage": f"The job was stopped: it exceeded MaxRuntimeInSeconds ({limit})."}

    def _write_configs(self, job: Job, host: str, hosts: list[str]) -> None:
        request = job.document
        cluster = request["ProcessingResources"]["ClusterConfig"]
        config = self.describe(request)
        config |= {"ProcessingJobArn": request["ProcessingJobArn"], "ProcessingJobName": job.name}
        job.write_config(f"{_CONFIG}/processingjobconfig.json", config)
        resources = resource_config(cluster.get("InstanceType"), host, hosts)
        job.write_config(f"{_CONFIG}/resourceconfig.json", resources)
        # Programs write their exit message there without creating the folder.
        job.folder.host_path(_MESSAGE).parent.mkdir(parents=True, exist_ok=True)


def _check_input(item: dict[str, Any]) -> None:
    what = f"ProcessingInput {item['InputName']!r}"
    source = item.get("S3Input")
    if source is None:
        raise ValidationError(
            f"{what} has no S3Input. The local runtime does not support DatasetDefinition; use S3Input."
        )
    if source.get("S3InputMode", "File") != "File":
        raise ValidationError(f"{what}: S3InputMode {source['S3InputMode']!r} is not supported. Use File.")
    if not source.get("LocalPath"):
        raise ValidationError(f"{what} has no LocalPath.")
    check_local_path(source["LocalPath"], what)
    check_s3_source(source, what)


def _check_output(item: dict[str, Any]) -> None:
    what = f"ProcessingOutput {item['OutputName']!r}"
    if "FeatureStoreOutput" in item:
        raise ValidationError(
            f"{what}: FeatureStoreOutput is not supported by the local runtime. Use S3Output."
        )
    target = item.get("S3Output")
    if target is None:
        if item.get("AppManaged"):
            return
        raise ValidationError(f"{what} has no S3Output.")
    if not item.get("AppManaged") or target.get("LocalPath"):
        check_local_path(target.get("LocalPath") or "", what)
    split_uri(target["S3Uri"])


def _stage_input(job: Job, item: dict[str, Any], number: int, count: int) -> None:
    """Download an input, or the share of it that the instance with this number gets."""
    source = item["S3Input"]
    path = source["LocalPath"]
    sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
    stage_s3_source(
        job,
        source,
        path,
        compression=source.get("S3CompressionType"),
        share=(number, count) if sharded else (0, 1),
    )
    job.packages.offer(job.folder.host_path(path))


def _upload_outputs(job: Job, instances: dict[str, Job]) -> None:
    """Upload the outputs of all instances; as on AWS, the last one wins where two have the same key."""
    outputs = job.document.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for item in (item for item in outputs if not item.get("AppManaged")):
        target = item["S3Output"]
        writers: dict[str, str] = {}
        for host, instance in instances.items():
            job.check_not_stopped()
            for uri in job.storage.upload(instance.produced(target["LocalPath"]), target["S3Uri"]):
                if uri in writers:
                    job.log.add_line(
                        f"{uri} of {writers[uri]} is overwritten by {host}: both wrote a file of this name. "
                        "Use current_host of /opt/ml/config/resourceconfig.json in the names of files."
                    )
                writers[uri] = host
