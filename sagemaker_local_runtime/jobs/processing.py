"""Processing jobs: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html."""

from __future__ import annotations

import time
from typing import Any

from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.images import find_image
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.kinds import PROCESSING, check_local_path
from sagemaker_local_runtime.jobs.program import JobProgram
from sagemaker_local_runtime.jobs.resources import log_instance_count, resource_config
from sagemaker_local_runtime.jobs.staging import check_s3_source, refuse_requirements, stage_s3_source
from sagemaker_local_runtime.services.storage import split_uri

_MESSAGE = "/opt/ml/output/message"
_CONFIG = "/opt/ml/config"


class ProcessingProgram(JobProgram):
    """Run the command of a processing container on its inputs and upload the outputs."""

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

    def validate(self, request: dict[str, Any]) -> None:
        """Refuse images without a local program, and inputs and outputs that are not in S3."""
        application = request["AppSpecification"]
        find_image(application["ImageUri"])
        if not application.get("ContainerEntrypoint"):
            raise ValidationError(
                "AppSpecification.ContainerEntrypoint is missing: the image has no own program. Add it."
            )
        for item in request.get("ProcessingInputs", []):
            _check_input(item)
        for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            _check_output(item)

    def run(self, job: Job) -> dict[str, Any]:
        """Stage the inputs, run the command and upload the outputs."""
        request = job.document
        job.update(ProcessingStartTime=time.time())
        log_instance_count(job, request["ProcessingResources"]["ClusterConfig"].get("InstanceCount", 1))
        for item in request.get("ProcessingInputs", []):
            _stage_input(job, item)
        outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        for item in outputs:
            if "S3Output" in item:
                job.folder.host_path(item["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
        self._write_configs(job)
        application = request["AppSpecification"]
        command = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
        ended = job.execute(command, request.get("Environment", {}))
        message = job.read_message(_MESSAGE)
        if message:
            job.update(ExitMessage=message)
        job.require_success(ended, message)
        for item in outputs:
            _upload_output(job, item)
        return {}

    def ended(self, job: Job, status: str, *, timed_out: bool) -> dict[str, Any]:
        """Return the reason of a timeout."""
        if not timed_out:
            return {}
        seconds = job.document.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        limit = seconds or job.longest_seconds
        return {"ExitMessage": f"The job was stopped: it exceeded MaxRuntimeInSeconds ({limit})."}

    def _write_configs(self, job: Job) -> None:
        request = job.document
        cluster = request["ProcessingResources"]["ClusterConfig"]
        config = self.describe(request)
        config |= {"ProcessingJobArn": request["ProcessingJobArn"], "ProcessingJobName": job.name}
        job.write_config(f"{_CONFIG}/processingjobconfig.json", config)
        job.write_config(f"{_CONFIG}/resourceconfig.json", resource_config(cluster.get("InstanceType")))
        # Programs write their exit message there without creating the folder.
        job.folder.host_path(_MESSAGE).parent.mkdir(parents=True, exist_ok=True)


def _check_input(item: dict[str, Any]) -> None:
    what = f"ProcessingInput {item['InputName']!r}"
    source = item.get("S3Input")
    if source is None:
        raise ValidationError(
            f"{what} has no S3Input. The local runtime does not support DatasetDefinition; use S3Input."
        )
    check_s3_source(source, what)
    if source.get("S3InputMode", "File") != "File":
        raise ValidationError(f"{what}: S3InputMode {source['S3InputMode']!r} is not supported. Use File.")
    if not source.get("LocalPath"):
        raise ValidationError(f"{what} has no LocalPath.")
    check_local_path(source["LocalPath"], what)


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
    split_uri(target["S3Uri"])
    if not item.get("AppManaged") or target.get("LocalPath"):
        check_local_path(target.get("LocalPath") or "", what)


def _stage_input(job: Job, item: dict[str, Any]) -> None:
    source = item["S3Input"]
    path = source["LocalPath"]
    stage_s3_source(job, source, path, compression=source.get("S3CompressionType"))
    refuse_requirements(job.folder.host_path(path))


def _upload_output(job: Job, item: dict[str, Any]) -> None:
    if item.get("AppManaged"):
        return
    target = item["S3Output"]
    job.check_not_stopped()
    job.storage.upload(job.produced(target["LocalPath"]), target["S3Uri"])
