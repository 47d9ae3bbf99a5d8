"""The script mode of framework images, in which hyperparameters name the script.

The classic estimators and many boto3 users send ``sagemaker_program`` and ``sagemaker_submit_directory``;
the training toolkit in the image unpacks the source and runs the script with the other hyperparameters.
https://github.com/aws/sagemaker-training-toolkit
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from sagemaker_local_runtime.jobs.archives import unpack
from sagemaker_local_runtime.jobs.job import Job
from sagemaker_local_runtime.jobs.resources import HOST
from sagemaker_local_runtime.services.storage import split_uri

#: The folder into which the toolkits unpack the source, which is the working directory of the script.
#: https://github.com/aws/sagemaker-training-toolkit/blob/master/src/sagemaker_training/process.py
CODE = "/opt/ml/code"


@dataclass(frozen=True)
class ScriptMode:
    """A script that hyperparameters name.

    :param program: the script's path in the source archive.
    :param source: the archive's S3 URI.
    :param hyperparameters: the other hyperparameters, decoded from JSON.
    """

    program: str
    source: str
    hyperparameters: dict[str, Any]

    @classmethod
    def of(cls, request: dict[str, Any]) -> ScriptMode | None:
        """Return the script that a training request names, or None."""
        values = {key: _decode(value) for key, value in request.get("HyperParameters", {}).items()}
        program, source = values.get("sagemaker_program"), values.get("sagemaker_submit_directory")
        if not isinstance(program, str) or not isinstance(source, str):
            return None
        # The toolkit keeps its own hyperparameters and the name of a tuned metric from the script.
        own = ("sagemaker_", "_tuning_objective_metric")
        others = {key: value for key, value in values.items() if not key.startswith(own)}
        return cls(program, source, others)

    def stage(self, job: Job) -> None:
        """Download and unpack the source."""
        bucket, key = split_uri(self.source)
        archive = job.storage.fetch(bucket, key, job.folder.path / "sourcedir.tar.gz")
        folder = job.folder.host_path(CODE)
        unpack(archive, folder)
        job.packages.require(folder)
        program = (folder / self.program).resolve()
        if program.is_file() and program.is_relative_to(folder.resolve()):
            program.chmod(0o755)

    def command(self) -> list[str]:
        """Return the command, to run in the code's folder; hyperparameters become ``--name value``."""
        arguments = [
            word
            for key, value in sorted(self.hyperparameters.items())
            for word in (f"--{key}" if len(key) > 1 else f"-{key}", _argument(value))
        ]
        if self.program.endswith(".py"):
            return ["python3", self.program, *arguments]
        # Run by a shell, since a script may have no #! line; the names are passed as arguments, not as code.
        return ["/bin/sh", "-c", 'exec "./$0" "$@"', self.program, *arguments]

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
            "PYTHONPATH": CODE,
        }
        values |= {f"SM_CHANNEL_{name.upper()}": f"/opt/ml/input/data/{name}" for name in channels}
        values |= {f"SM_HP_{name.upper()}": value for name, value in self.hyperparameters.items()}
        return {name: _variable(value) for name, value in values.items()}


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _argument(value: Any) -> str:
    """Return a hyperparameter as an argument, like the toolkit (``to_cmd_args`` in its mapping.py)."""
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return "" if value is None else str(value)


def _variable(value: Any) -> str:
    """Return the value of an environment variable, like the toolkit (``to_env_vars`` in its mapping.py)."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
