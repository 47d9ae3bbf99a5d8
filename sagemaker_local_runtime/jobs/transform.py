"""Batch transform jobs: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from sagemaker_local_runtime.exceptions import JobFailedError, ValidationError
from sagemaker_local_runtime.images.catalog import Catalog, LocalImage
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.kinds import TRANSFORM
from sagemaker_local_runtime.jobs.program import JobProgram
from sagemaker_local_runtime.jobs.resources import log_instance_count
from sagemaker_local_runtime.jobs.serving import MODEL_FOLDER, serve_command, served_image, stage_model
from sagemaker_local_runtime.jobs.staging import check_s3_source, stage_s3_source
from sagemaker_local_runtime.jobs.untrusted import read_file
from sagemaker_local_runtime.services.models import ModelRegistry
from sagemaker_local_runtime.services.storage import split_uri
from sagemaker_local_runtime.validation import Check

_WORK = "/opt/ml/transform"
_DEFAULT_PAYLOAD_MB = 6
_LARGEST_ERROR = 16 << 20
_WORKER = "sagemaker_local_runtime.images.batch.worker"
_NO_PROCESSING = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}


class TransformProgram(JobProgram):
    """Send the inputs through the containers of a model and upload the answers of the last one.

    :param images: what stands in for which image.
    :param models: the models of the jobs.
    """

    kind = TRANSFORM
    described = (
        "ModelName",
        "MaxConcurrentTransforms",
        "ModelClientConfig",
        "MaxPayloadInMB",
        "BatchStrategy",
        "Environment",
        "TransformInput",
        "TransformOutput",
        "DataCaptureConfig",
        "TransformResources",
        "DataProcessing",
        "ExperimentConfig",
    )

    def __init__(self, images: Catalog, models: ModelRegistry) -> None:
        self._images, self._models = images, models

    @staticmethod
    def checks(request: dict[str, Any]) -> Iterator[Check]:
        """Refuse data that is not in S3, and settings that contradict each other."""
        yield partial(_check_split, request["TransformInput"])
        yield partial(_check_payload, request)
        yield partial(_check_join, request)
        yield partial(
            check_s3_source, request["TransformInput"]["DataSource"]["S3DataSource"], "TransformInput"
        )
        yield partial(split_uri, request["TransformOutput"]["S3OutputPath"])

    def validate(self, request: dict[str, Any]) -> None:
        """Refuse a missing model, unknown images, and what the checks refuse."""
        for container in self._models.containers(request["ModelName"]):
            self._images.find(container["Image"])
        for check in self.checks(request):
            check()

    def inputs(self, request: dict[str, Any]) -> dict[str, str]:
        """Return the URI of the rows."""
        role = self._models.describe_model(request["ModelName"]).get("ExecutionRoleArn", "")
        return {request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]: role}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the request with AWS's defaults."""
        fields = super().describe(request)
        fields["TransformInput"] = {
            "CompressionType": "None",
            "SplitType": "None",
            **request["TransformInput"],
        }
        fields["TransformOutput"] = {"AssembleWith": "None", **request["TransformOutput"]}
        fields["DataProcessing"] = {**_NO_PROCESSING, **request.get("DataProcessing", {})}
        instance = f"i-{secrets.token_hex(8)}a"
        return {**fields, "_log_stream": f"{request['TransformJobName']}/{instance}-{int(time.time())}"}

    def run(self, job: Job) -> dict[str, Any]:
        """Stage the inputs, run each container on all requests and upload the outputs."""
        request = job.document
        job.update(TransformStartTime=time.time())
        log_instance_count(job, request["TransformResources"].get("InstanceCount", 1))
        files = _stage_inputs(job)
        containers = self._models.containers(request["ModelName"])
        data_log = job.open_log("data-log")
        try:
            data_log.add_line(_settings_line(request))
            for number, container in enumerate(containers):
                image = self._images.find(container["Image"])
                plan = _plan(request, image, files, number, len(containers))
                _run_container(job, container, image, plan, data_log.add_line)
        finally:
            data_log.close()
        output = job.produced(f"{_WORK}/output")
        job.storage.upload(output, request["TransformOutput"]["S3OutputPath"])
        return {}


def _check_split(data: dict[str, Any]) -> None:
    split = data.get("SplitType", "None")
    if split not in {"None", "Line"}:
        raise ValidationError(f"SplitType {split!r} is not supported by the local runtime. Use Line or None.")


def _check_payload(request: dict[str, Any]) -> None:
    payload, concurrent = request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms")
    if payload and concurrent and payload * concurrent > 100:
        raise ValidationError(
            f"MaxConcurrentTransforms * MaxPayloadInMB is {payload * concurrent}; expected at most 100."
        )


def _check_join(request: dict[str, Any]) -> None:
    join = request.get("DataProcessing", {}).get("JoinSource", "None")
    split = request["TransformInput"].get("SplitType", "None")
    assemble = request["TransformOutput"].get("AssembleWith", "None")
    if join == "Input" and assemble != split:
        raise ValidationError(
            f"JoinSource Input needs the same SplitType and AssembleWith, not {split!r} and {assemble!r}."
        )


def _stage_inputs(job: Job) -> list[dict[str, str]]:
    source = job.document["TransformInput"]["DataSource"]["S3DataSource"]
    folder = job.folder.host_path(f"{_WORK}/input")
    job.folder.host_path(f"{_WORK}/output").mkdir(parents=True, exist_ok=True)
    files = []
    for path in stage_s3_source(job, source, f"{_WORK}/input"):
        name = path.relative_to(folder).as_posix()
        files.append({"name": name, "input": f"{_WORK}/input/{name}", "output": f"{_WORK}/output/{name}.out"})
    return files


def _plan(
    request: dict[str, Any],
    image: LocalImage,
    files: list[dict[str, str]],
    number: int,
    count: int,
) -> dict[str, Any]:
    """Return the plan for the worker of one container."""
    data, processing = request["TransformInput"], request["DataProcessing"]
    return {
        **served_image(image),
        "files": files,
        "split": data["SplitType"],
        "gzipped": data["CompressionType"] == "Gzip",
        "strategy": request.get("BatchStrategy", "MultiRecord"),
        "max_payload_bytes": request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB) << 20,
        "content_type": data.get("ContentType"),
        "accept": request["TransformOutput"].get("Accept"),
        "assemble": request["TransformOutput"]["AssembleWith"],
        "input_filter": processing["InputFilter"],
        "output_filter": processing["OutputFilter"],
        "join": processing["JoinSource"] == "Input",
        "frames_in": f"{_WORK}/answers-{number - 1}" if number else None,
        "frames_out": f"{_WORK}/answers-{number}" if number + 1 < count else None,
        "error_file": f"{_WORK}/error.json",
    }


def _run_container(
    job: Job, container: dict[str, Any], image: LocalImage, plan: dict[str, Any], add_line: Any
) -> None:
    job.packages.use(image)
    stage_model(job, container)
    job.write_config(f"{_WORK}/plan.json", plan)
    ended = job.execute(
        serve_command(job, image, _WORKER, f"{_WORK}/plan.json"), _environment(job, container)
    )
    if ended.exit_code == 0:
        return
    written = read_file(job.produced(plan["error_file"]), _LARGEST_ERROR)
    error = json.loads(written) if written else {"status": 500}
    if "message" in error:
        add_line(
            f"[sagemaker logs]: {error['file']}: Bad HTTP status returned from invoke: {error['status']}"
        )
        add_line(f"[sagemaker logs]: {error['file']}: Message: {error['message']}")
    blame = "ClientError" if error["status"] < 500 else "AlgorithmError"
    raise JobFailedError(f"{blame}: See job logs for more information{job.packages.notes}")


def _environment(job: Job, container: dict[str, Any]) -> dict[str, str]:
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": _strategy(job.document),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(job.document.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)),
        "SM_MODEL_DIR": MODEL_FOLDER,
        **container.get("Environment", {}),
        **job.document.get("Environment", {}),
    }


def _strategy(request: dict[str, Any]) -> str:
    multi = request.get("BatchStrategy", "MultiRecord") == "MultiRecord"
    return "MULTI_RECORD" if multi else "SINGLE_RECORD"


def _settings_line(request: dict[str, Any]) -> str:
    return (
        f"[sagemaker logs]: MaxConcurrentTransforms={request.get('MaxConcurrentTransforms', 1)}, "
        f"MaxPayloadInMB={request.get('MaxPayloadInMB', _DEFAULT_PAYLOAD_MB)}, "
        f"BatchStrategy={_strategy(request)}"
    )
