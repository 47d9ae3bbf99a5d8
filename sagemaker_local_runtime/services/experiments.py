"""The experiments, trials and trial components that pipelines and jobs create, as records of moto.

https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-experiments.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sagemaker_local_runtime.account import Account
from sagemaker_local_runtime.exceptions import ResourceNotFoundError, ValidationError
from sagemaker_local_runtime.services.lineage import Lineage
from sagemaker_local_runtime.store import Document

_IMAGE, _MODEL = "SageMaker.ImageUri", "SageMaker.ModelArtifact"


class Experiments:
    """Record the jobs of one account below their experiments and trials.

    :param account: whose experiments these are.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._lineage = Lineage(account)

    @property
    def _records(self) -> Any:
        # moto's actions and these records are in the same process. Its import takes a moment.
        from moto.sagemaker.models import sagemaker_backends

        settings = self._account.settings
        return sagemaker_backends[settings.account_id][settings.region]

    def ensure(self, config: Mapping[str, str | None]) -> None:
        """Create the experiment and the trial that a pipeline names, unless they exist.

        :param config: ``ExperimentName`` and ``TrialName``, both optional.
        """
        experiment, trial = config.get("ExperimentName"), config.get("TrialName")
        records = self._records
        if experiment and experiment not in records.experiments:
            records.create_experiment(experiment)
        if experiment and trial and trial not in records.trials:
            records.create_trial(trial, experiment)

    def experiments(self) -> list[Document]:
        """Return every experiment, as ``DescribeExperiment`` does."""
        records = self._records
        return [_document(records.describe_experiment(name)) for name in list(records.experiments)]

    def trials(self) -> list[Document]:
        """Return every trial, as ``DescribeTrial`` does."""
        return [_document(trial.response_object) for trial in list(self._records.trials.values())]

    def components(self) -> list[Document]:
        """Return every trial component, as ``DescribeTrialComponent`` does, with the trial that it is in."""
        records, found = self._records, []
        for component in list(records.trial_components.values()):
            trial = records.trials.get(component.trial_name)
            parents = (
                [{"TrialName": trial.trial_name, "ExperimentName": trial.experiment_name}] if trial else []
            )
            found.append({**_document(component.response_object), "Parents": parents})
        return found

    def has_component(self, name: str) -> bool:
        """Return whether there is a trial component of this name."""
        return name in self._records.trial_components

    def check_new(self, action: str, request: Mapping[str, Any]) -> None:
        """Refuse a Create request with a name that is taken; moto would replace the record.

        :param action: of any record; those without a unique name here pass.
        :raises ValidationError: the name is taken.
        :raises ResourceNotFoundError: the experiment of a trial does not exist.
        """
        if action == "CreateTrial" and request["ExperimentName"] not in self._records.experiments:
            arn = self._account.arn(f"experiment/{request['ExperimentName']}")
            raise ResourceNotFoundError(f"Experiment '{arn}' does not exist.")
        known = {
            "CreateExperiment": ("ExperimentName", "experiments"),
            "CreateTrial": ("TrialName", "trials"),
            "CreateTrialComponent": ("TrialComponentName", "trial_components"),
        }.get(action)
        if known and request[known[0]] in getattr(self._records, known[1]):
            noun = known[0].removesuffix("Name")
            raise ValidationError(
                f"{noun} names must be unique within an AWS account and region. "
                f"{noun} with name ({request[known[0]]}) already exists."
            )

    def check(self, config: Mapping[str, str]) -> None:
        """Refuse a job whose experiment or trial does not exist.

        :raises ResourceNotFoundError: it does not.
        """
        records = self._records
        for field, kind, known in (
            ("ExperimentName", "experiment", records.experiments),
            ("TrialName", "experiment-trial", records.trials),
        ):
            name = config.get(field)
            if name and name not in known:
                arn = self._account.arn(f"{kind}/{name}")
                raise ResourceNotFoundError(
                    f"{field} of ExperimentConfig: {arn} does not exist. Create it first, or leave it out."
                )

    def add_job(self, kind: str, name: str, arn: str, job: Mapping[str, Any]) -> None:
        """Record a job with an ExperimentConfig as a trial component of its trial, by default a new one.

        :param kind: ``"training"``, ``"processing"`` or ``"transform"``.
        :param job: its Describe answer.
        """
        config, records, component_name = job["ExperimentConfig"], self._records, _component_name(kind, name)
        trial = config.get("TrialName") or component_name
        self.ensure({"ExperimentName": config.get("ExperimentName"), "TrialName": trial})
        records.create_trial_component(
            trial_component_name=component_name,
            trial_name=None,
            status=_status(job, kind),
            start_time=datetime.now(UTC),
            end_time=None,
            display_name=config.get("TrialComponentDisplayName"),
            parameters=_parameters(job),
            input_artifacts=_inputs(job),
            output_artifacts=None,
            metadata_properties=None,
        )
        component = records.trial_components[component_name]
        component.sources = [{"SourceArn": arn, "SourceType": f"SageMaker{kind.title()}Job"}]
        for name_of_input, artifact in component.input_artifacts.items():
            kind_of_input = "Image" if name_of_input == _IMAGE else "DataSet"
            found = self._lineage.artifact(artifact["Value"], kind_of_input)
            self._lineage.associate(found, component.arn, "ContributedTo")
        if trial in records.trials:
            records.associate_trial_component(trial, component_name)

    def end_job(self, kind: str, name: str, job: Mapping[str, Any]) -> None:
        """Record how a job has ended, unless its trial component was deleted meanwhile."""
        component = self._records.trial_components.get(_component_name(kind, name))
        if component is None:
            return
        component.status = _status(job, kind)
        component.end_time = component.last_modified_time = datetime.now(UTC)
        if component.status["PrimaryStatus"] != "Completed":
            return
        component.output_artifacts = _outputs(job)
        for output, artifact in component.output_artifacts.items():
            found = self._lineage.artifact(artifact["Value"], "Model" if output == _MODEL else "DataSet")
            self._lineage.associate(component.arn, found, "Produced")


def _document(description: Any) -> Any:
    """Return a description of moto with its times as seconds since 1970, as ours have them."""
    if isinstance(description, Mapping):
        return {name: _document(value) for name, value in description.items()}
    if isinstance(description, list):
        return [_document(value) for value in description]
    if isinstance(description, datetime):
        return (description if description.tzinfo else description.replace(tzinfo=UTC)).timestamp()
    return description


def _component_name(kind: str, name: str) -> str:
    """Return the name of the trial component of a job."""
    return f"{name}-aws-{kind}-job"


def _status(job: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the status of a job as the one of a component, which has the same words."""
    status = job[f"{kind.title()}JobStatus"]
    reason = job.get("FailureReason")
    return {"PrimaryStatus": status, **({"Message": reason} if reason else {})}


def _parameters(job: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the hyperparameters and the instances of a job, numbers as numbers."""
    cluster = (job.get("ProcessingResources") or {}).get("ClusterConfig")
    instances = job.get("ResourceConfig") or job.get("TransformResources") or cluster or {}
    values = {
        **(job.get("HyperParameters") or {}),
        **{
            f"SageMaker.{field}": instances[field]
            for field in ("InstanceCount", "InstanceType", "VolumeSizeInGB")
            if field in instances
        },
    }
    return {name: _parameter(value) for name, value in values.items()}


def _parameter(value: Any) -> dict[str, Any]:
    try:
        return {"NumberValue": float(value)}
    except ValueError:
        return {"StringValue": str(value)}


def _inputs(job: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the image and the inputs of a job."""
    image = (job.get("AlgorithmSpecification") or {}).get("TrainingImage")
    image = image or (job.get("AppSpecification") or {}).get("ImageUri")
    found = {_IMAGE: image} if image else {}
    for channel in job.get("InputDataConfig") or ():
        found[channel["ChannelName"]] = channel["DataSource"]["S3DataSource"]["S3Uri"]
    for given in job.get("ProcessingInputs") or ():
        if "S3Input" in given:
            found[given["InputName"]] = given["S3Input"]["S3Uri"]
    if "TransformInput" in job:
        found["SageMaker.TransformInput"] = job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    return {name: {"Value": uri} for name, uri in found.items()}


def _outputs(job: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the model, or the outputs of a processing or transform job."""
    found = {}
    if "ModelArtifacts" in job:
        found[_MODEL] = job["ModelArtifacts"]["S3ModelArtifacts"]
    if "TransformOutput" in job:
        found["SageMaker.TransformOutput"] = job["TransformOutput"]["S3OutputPath"]
    for given in (job.get("ProcessingOutputConfig") or {}).get("Outputs") or ():
        if "S3Output" in given:
            found[given["OutputName"]] = given["S3Output"]["S3Uri"]
    return {name: {"Value": uri} for name, uri in found.items()}
