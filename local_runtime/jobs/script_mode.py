"""The script mode of framework images that names its script in hyperparameters.

The classic estimators and many boto3 users send ``sagemaker_program`` and ``sagemaker_submit_directory``;
the training toolkit in the image unpacks the source and runs the script with the other hyperparameters.
https://github.com/aws/sagemaker-training-toolkit
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from local_runtime.jobs.archives import unpack
from local_runtime.jobs.job import Job
from local_runtime.jobs.resources import HOST
from local_runtime.jobs.staging import refuse_requirements
from local_runtime.services.storage import split_uri

_CODE = "/opt/ml/code"


@dataclass(frozen=True)
class ScriptMode:
    """A script that hyperparameters name.

    :param program: the script's path in the source archive.
    :param source: the archive's S3 URI.
    :param hyperparameters: the others, JSON-decoded.
    """

    program: str
    source: str
    hyperparameters: dict[str, Any]

    @classmethod
    def of(cls, request: dict[str, Any]) -> ScriptMode | None:
        """Return the script of a training request, or None if it names none."""
        values = {key: _decode(value) for key, value in request.get("HyperParameters", {}).items()}
        program, source = values.get("sagemaker_program"), values.get("sagemaker_submit_directory")
        if not isinstance(program, str) or not isinstance(source, str):
            return None
        others = {key: value for key, value in values.items() if not key.startswith("sagemaker_")}
        return cls(program, source, others)

    def stage(self, job: Job) -> None:
        """Download and unpack the source."""
        bucket, key = split_uri(self.source)
        archive = job.runtime.storage.fetch(bucket, key, job.folder.path / "sourcedir.tar.gz")
        folder = job.folder.host_path(_CODE)
        unpack(archive, folder)
        refuse_requirements(folder)

    def command(self) -> list[str]:
        """Return the command: hyperparameters become ``--name value``."""
        arguments = [
            word
            for key, value in sorted(self.hyperparameters.items())
            for word in (f"--{key}" if len(key) > 1 else f"-{key}", _encode(value))
        ]
        runner = ["/bin/sh"] if self.program.endswith(".sh") else ["python3"]
        return [*runner, f"{_CODE}/{self.program}", *arguments]

    def environment(self, job: Job) -> dict[str, str]:
        """Return the ``SM_*`` variables that scripts read."""
        channels = sorted(item["ChannelName"] for item in job.document.get("InputDataConfig", []))
        kind = job.document.get("ResourceConfig", {}).get("InstanceType", "ml.m5.xlarge")
        values: dict[str, Any] = {
            "SM_MODEL_DIR": "/opt/ml/model",
            "SM_OUTPUT_DIR": "/opt/ml/output",
            "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
            "SM_INPUT_DIR": "/opt/ml/input",
            "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
            "SM_MODULE_DIR": self.source,
            "SM_USER_ENTRY_POINT": self.program,
            "SM_CHANNELS": channels,
            "SM_HPS": self.hyperparameters,
            "SM_HOSTS": [HOST],
            "SM_CURRENT_HOST": HOST,
            "SM_CURRENT_INSTANCE_TYPE": kind,
            "SM_NUM_CPUS": os.cpu_count() or 1,
            "SM_NUM_GPUS": 0,
            "PYTHONPATH": _CODE,
        }
        values |= {f"SM_CHANNEL_{name.upper()}": f"/opt/ml/input/data/{name}" for name in channels}
        values |= {f"SM_HP_{name.upper()}": value for name, value in self.hyperparameters.items()}
        return {name: _encode(value) for name, value in values.items()}


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _encode(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
