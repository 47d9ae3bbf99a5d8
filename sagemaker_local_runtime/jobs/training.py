"""Training jobs: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from sagemaker_local_runtime.exceptions import JobStoppedError, ValidationError
from sagemaker_local_runtime.images import built_in
from sagemaker_local_runtime.images.catalog import Catalog, LocalImage
from sagemaker_local_runtime.jobs.artifacts import upload_archive, upload_model
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.kinds import FINAL, TRAINING, check_local_path
from sagemaker_local_runtime.jobs.metrics import final_metrics, log_unusable_metrics
from sagemaker_local_runtime.jobs.program import JobProgram
from sagemaker_local_runtime.jobs.resources import log_instance_count, resource_config
from sagemaker_local_runtime.jobs.script_mode import CODE, ScriptMode
from sagemaker_local_runtime.jobs.staging import check_s3_source, stage_s3_source
from sagemaker_local_runtime.services.storage import split_uri
from sagemaker_local_runtime.validation import Check

_FAILURE = "/opt/ml/output/failure"
_INPUT = "/opt/ml/input"
_CHECKPOINTS = "/opt/ml/checkpoints"
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingProgram(JobProgram):
    """Run a training container's command, or the local program of its algorithm, and upload the model.

    :param images: what stands in for which image.
    """

    kind = TRAINING
    described = (
        "HyperParameters",
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "VpcConfig",
        "StoppingCondition",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
        "CheckpointConfig",
        "ExperimentConfig",
        "Environment",
        "RetryStrategy",
        "DebugHookConfig",
        "ProfilerConfig",
        "TensorBoardOutputConfig",
        "TuningJobArn",  # of a tuning job's training job; clients cannot send it
    )

    def __init__(self, images: Catalog) -> None:
        self._images = images

    @staticmethod
    def checks(request: dict[str, Any]) -> Iterator[Check]:
        """Refuse algorithms without an image, and channels that are not files in S3."""
        yield partial(_check_algorithm, request["AlgorithmSpecification"])
        for channel in request.get("InputDataConfig", []):
            yield partial(_check_channel, channel)
        if "CheckpointConfig" in request:
            yield partial(_check_checkpoints, request["CheckpointConfig"])
        yield partial(split_uri, request["OutputDataConfig"]["S3OutputPath"])

    def validate(self, request: dict[str, Any]) -> None:
        """Refuse images without a local program, and what the checks refuse."""
        for check in self.checks(request):
            check()
        algorithm = request["AlgorithmSpecification"]
        image = self._images.find(algorithm["TrainingImage"])
        own = image.entry.train or image.train_module
        if not (own or algorithm.get("ContainerEntrypoint") or ScriptMode.of(request)):
            raise ValidationError(
                f"The image {image.name.repository!r} has no algorithm of its own. Give it a script with "
                "AlgorithmSpecification.ContainerEntrypoint or the hyperparameters sagemaker_program and "
                "sagemaker_submit_directory, or add `train` to the image's entry in images.toml."
            )

    def inputs(self, request: dict[str, Any]) -> dict[str, str]:
        """Return the URIs of the channels."""
        sources = (channel["DataSource"]["S3DataSource"] for channel in request.get("InputDataConfig", []))
        return {source["S3Uri"]: request["RoleArn"] for source in sources}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the request and the first status."""
        return super().describe(request) | {
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [_transition("Starting", time.time())],
        }

    def run(self, job: Job) -> dict[str, Any]:
        """Stage the inputs, train, and upload the results however training ended."""
        _enter(job, "Downloading", TrainingStartTime=time.time())
        log_instance_count(job, job.document.get("ResourceConfig", {}).get("InstanceCount", 1))
        log_unusable_metrics(job)
        image = self._images.find(job.document["AlgorithmSpecification"]["TrainingImage"])
        job.packages.use(image)
        _stage(job, image)
        _enter(job, "Training")
        try:
            ended = job.execute(
                _command(job, image), _environment(job, image), _working_directory(job, image)
            )
            if ended.exit_code == 0:
                _enter(job, "Uploading")
        except JobStoppedError:
            # As on AWS, what the program saved before or after SIGTERM is kept.
            self._upload(job)
            raise
        if ended.exit_code == 0:
            model = self._upload(job)
        else:
            _upload_outputs(job)
        job.require_success(ended, job.read_message(_FAILURE))
        return {"ModelArtifacts": {"S3ModelArtifacts": model}}

    def stopping(self, job: Job) -> dict[str, Any]:
        """Return the new secondary status."""
        if job.document["SecondaryStatus"] == "Stopping":
            return {}
        transitions = _transitions(job, "Stopping", time.time())
        return {"SecondaryStatus": "Stopping", "SecondaryStatusTransitions": transitions}

    def ended(self, job: Job, status: str, *, timed_out: bool) -> dict[str, Any]:
        """Return the final status, the metrics and the times."""
        secondary = "MaxRuntimeExceeded" if timed_out else status
        now = time.time()
        changes: dict[str, Any] = {
            "SecondaryStatus": secondary,
            "SecondaryStatusTransitions": _transitions(job, secondary, now),
            "FinalMetricDataList": final_metrics(job, built_in=self._is_built_in(job)) or None,
        }
        began = job.document.get("TrainingStartTime")
        if began is not None:
            seconds = max(1, round(now - began))
            changes |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        return changes

    def _is_built_in(self, job: Job) -> bool:
        """Return whether the job runs the built-in algorithm of its image, which has metrics of its own."""
        algorithm = job.document["AlgorithmSpecification"]
        image = self._images.find(algorithm["TrainingImage"])
        return image.train_module is not None and "ContainerEntrypoint" not in algorithm

    @staticmethod
    def _upload(job: Job) -> str:
        _upload_outputs(job)
        return upload_model(job)


def _upload_outputs(job: Job) -> None:
    """Upload the output folder and the checkpoints, however training ended."""
    upload_archive(job, "/opt/ml/output/data", "output.tar.gz")
    checkpoints = job.document.get("CheckpointConfig")
    if checkpoints:
        folder = job.produced(checkpoints.get("LocalPath") or _CHECKPOINTS)
        job.storage.upload(folder, checkpoints["S3Uri"])


def _check_algorithm(algorithm: dict[str, Any]) -> None:
    _check_mode(algorithm.get("TrainingInputMode"), "AlgorithmSpecification")
    if not algorithm.get("TrainingImage"):
        raise ValidationError("The algorithm has no TrainingImage. Add it; AlgorithmName is not supported.")


def _check_checkpoints(config: dict[str, Any]) -> None:
    check_local_path(config.get("LocalPath") or _CHECKPOINTS, "CheckpointConfig")
    split_uri(config["S3Uri"])


def _check_channel(channel: dict[str, Any]) -> None:
    what = f"Channel {channel['ChannelName']!r}"
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise ValidationError(
            f"{what} has no S3DataSource. The local runtime supports no other source; use S3DataSource."
        )
    _check_mode(channel.get("InputMode"), what)
    if channel.get("RecordWrapperType", "None") != "None":
        raise ValidationError(f"{what}: RecordWrapperType {channel['RecordWrapperType']!r} is not supported.")
    check_local_path(f"{_INPUT}/data/{channel['ChannelName']}", what)
    check_s3_source(source, what)


def _check_mode(mode: str | None, what: str) -> None:
    if mode == "Pipe":
        raise ValidationError(f"{what}: input mode 'Pipe' is not supported by the local runtime. Use File.")


def _stage(job: Job, image: LocalImage) -> None:
    request = job.document
    for folder in ("input/data", "input/config", "model", "output/data", "code"):
        job.folder.host_path(f"/opt/ml/{folder}").mkdir(parents=True, exist_ok=True)
    for channel in request.get("InputDataConfig", []):
        path = f"{_INPUT}/data/{channel['ChannelName']}"
        source = channel["DataSource"]["S3DataSource"]
        stage_s3_source(job, source, path, compression=channel.get("CompressionType"))
        if channel["ChannelName"] == "code":
            job.packages.offer(job.folder.host_path(path))
    checkpoints = request.get("CheckpointConfig")
    if checkpoints:
        _stage_checkpoints(job, checkpoints)
    _write_configs(job)
    script = _script(job, image)
    if script:
        script.stage(job)


def _stage_checkpoints(job: Job, config: dict[str, Any]) -> None:
    path = config.get("LocalPath") or _CHECKPOINTS
    job.folder.host_path(path).mkdir(parents=True, exist_ok=True)
    if job.storage.list(config["S3Uri"]):
        job.download(config["S3Uri"], path)


def _write_configs(job: Job) -> None:
    request = job.document
    default_mode = request["AlgorithmSpecification"].get("TrainingInputMode", "File")
    channels = {}
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"]["S3DataSource"]
        channels[channel["ChannelName"]] = {
            "TrainingInputMode": channel.get("InputMode") or default_mode,
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": "None",
        } | ({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {})
    kind = request.get("ResourceConfig", {}).get("InstanceType")
    job.write_config(f"{_INPUT}/config/hyperparameters.json", request.get("HyperParameters", {}))
    job.write_config(f"{_INPUT}/config/inputdataconfig.json", channels)
    job.write_config(f"{_INPUT}/config/resourceconfig.json", resource_config(kind))
    if "CheckpointConfig" in request:
        job.write_config(f"{_INPUT}/config/checkpointconfig.json", request["CheckpointConfig"])


def _script(job: Job, image: LocalImage) -> ScriptMode | None:
    """Return the script of the image's toolkit, or None if the image has an entry point of its own."""
    return None if image.entry.train else ScriptMode.of(job.document)


def _command(job: Job, image: LocalImage) -> list[str]:
    algorithm = job.document["AlgorithmSpecification"]
    if algorithm.get("ContainerEntrypoint"):
        return [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
    if image.entry.train:
        return [*image.entry.train, *algorithm.get("ContainerArguments", [])]
    script = _script(job, image)
    if script:
        return script.command()
    assert image.train_module is not None
    return built_in(image.train_module, "/opt/ml", image.name.tag, quick_xgboost=True)


def _working_directory(job: Job, image: LocalImage) -> str:
    entry_point = job.document["AlgorithmSpecification"].get("ContainerEntrypoint")
    return CODE if _script(job, image) and not entry_point else "/"


def _environment(job: Job, image: LocalImage) -> dict[str, str]:
    script = _script(job, image)
    return {
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.document["TrainingJobArn"],
        **(script.environment(job) if script else {}),
        **job.document.get("Environment", {}),
    }


def _enter(job: Job, status: str, **changes: Any) -> None:
    with job.lock:
        job.check_not_stopped()
        transitions = _transitions(job, status, time.time())
        job.update(SecondaryStatus=status, SecondaryStatusTransitions=transitions, **changes)


def _transitions(job: Job, status: str, now: float) -> list[dict[str, Any]]:
    *earlier, last = job.document["SecondaryStatusTransitions"]
    return [*earlier, {**last, "EndTime": now}, _transition(status, now)]


def _transition(status: str, now: float) -> dict[str, Any]:
    ends = {"EndTime": now} if status in FINAL | {"MaxRuntimeExceeded"} else {}
    return {"Status": status, "StartTime": now, "StatusMessage": _MESSAGES[status], **ends}
