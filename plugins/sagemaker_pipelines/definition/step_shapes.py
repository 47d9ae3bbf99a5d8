"""The shape of a step's arguments, by the type of the step.

The arguments of most types are the request of one of SageMaker's Create calls. Its shape comes from
botocore's service model; callers load the model and pass it in, because this package uses only the standard
library. The shapes of the other types are defined here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sagemaker_pipelines.definition.limits import MAX_ERROR_MESSAGE


class ServiceModel(Protocol):
    """The used part of botocore's ``ServiceModel``: ``client.meta.service_model`` of a SageMaker client."""

    @property
    def operation_names(self) -> Sequence[str]:
        """The names of all operations."""

    def operation_model(self, operation_name: str) -> Any:
        """Return an operation; it has an ``input_shape``."""


@dataclass(frozen=True, kw_only=True)
class OwnShape:
    """A shape with the attributes of botocore's shapes, for steps without a Create call.

    :param type_name: one of botocore's types, or ``object`` (any JSON object), or ``any``.
    """

    type_name: str
    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    required_members: Sequence[str] = ()
    member: Any = None
    key: Any = None
    value: Any = None


@dataclass(frozen=True)
class Call:
    """The Create call whose request the arguments of a step are.

    :param operation: SageMaker's operation.
    :param set_by_service: required members that a pipeline may leave out because the service sets them, as
        dotted paths without indexes.
    :param refused: members of the shape that a pipeline must not set, as dotted paths.
    :param needed: members that a pipeline requires although the shape does not (``a|b``: one of them).
    """

    operation: str
    set_by_service: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    needed: tuple[str, ...] = ()


# The SDK reduces ExperimentConfig to the display name: "the experiment config cannot be included in the
# arguments" (sagemaker 3.27.0, mlops/workflow/steps.py, Step._trim_experiment_config).
_EXPERIMENT = frozenset(
    {"ExperimentConfig.ExperimentName", "ExperimentConfig.RunName", "ExperimentConfig.TrialName"}
)
# The baselining job of a check is a processing job (mlops/workflow/_check_job_request.py).
_PROCESSING = Call("CreateProcessingJob", frozenset({"ProcessingJobName", "RoleArn"}), _EXPERIMENT)

#: By step type. The SDK leaves the job's name out (core/workflow/utilities.py, trim_request_dict).
#: "By default, each step takes on the pipeline execution role":
#: https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html
CALLS: Mapping[str, Call] = {
    # ModelDeployConfig and GenerateCandidateDefinitionsOnly "cannot be included" (automl_step.py).
    "AutoML": Call(
        "CreateAutoMLJob",
        frozenset({"AutoMLJobName", "RoleArn"}),
        frozenset({"GenerateCandidateDefinitionsOnly", "ModelDeployConfig"}),
    ),
    "ClarifyCheck": _PROCESSING,
    "Endpoint": Call("CreateEndpoint"),
    "EndpointConfig": Call("CreateEndpointConfig", frozenset({"EndpointConfigName"})),
    "InferenceComponent": Call("CreateInferenceComponent"),
    "Job": Call("CreateJob", frozenset({"JobName", "RoleArn"})),
    # CreateModel requires only the name. A model has one container or several, "but not both":
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
    "Model": Call("CreateModel", frozenset({"ModelName"}), needed=("PrimaryContainer|Containers",)),
    "Processing": _PROCESSING,
    "QualityCheck": _PROCESSING,
    # CertifyForMarketplace: "not available in the workflow service and will cause rejection" (model_step.py).
    # CreateModelPackage requires nothing, as an unversioned package has no group; a pipeline's has one:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html
    "RegisterModel": Call(
        "CreateModelPackage",
        refused=frozenset({"CertifyForMarketplace"}),
        needed=("InferenceSpecification|SourceAlgorithmSpecification|SourceUri", "ModelPackageGroupName"),
    ),
    # The shape dropped AlgorithmSpecification from its required members for serverless training.
    "Training": Call(
        "CreateTrainingJob",
        frozenset({"RoleArn", "TrainingJobName"}),
        _EXPERIMENT,
        ("AlgorithmSpecification|ServerlessJobConfig",),
    ),
    "Transform": Call("CreateTransformJob", frozenset({"TransformJobName"}), _EXPERIMENT),
    # "either TrainingJobDefinition or TrainingJobDefinitions":
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
    "Tuning": Call(
        "CreateHyperParameterTuningJob",
        frozenset(
            {
                "HyperParameterTuningJobName",
                "TrainingJobDefinition.RoleArn",
                "TrainingJobDefinitions.RoleArn",
            }
        ),
        needed=("TrainingJobDefinition|TrainingJobDefinitions",),
    ),
}

_ANYTHING = OwnShape(type_name="any")
_OBJECT = OwnShape(type_name="object")
_TEXT = OwnShape(type_name="string")


def _list(member: Any, **metadata: int) -> OwnShape:
    return OwnShape(type_name="list", member=member, metadata=metadata)


def _structure(required: Sequence[str] = (), **members: Any) -> OwnShape:
    return OwnShape(type_name="structure", members=members, required_members=required)


_STEPS = _list(_OBJECT)
_ENTITY = _structure(Arn=_TEXT, Name=_TEXT, Type=_TEXT)
_JAR = _structure(["Jar"], Args=_list(_TEXT), Jar=_TEXT, MainClass=_TEXT, Properties=_ANYTHING)
_CLEANED = _structure(["StepName"], S3Uris=_list(_TEXT), StepName=_TEXT)

#: What the classes in sagemaker/mlops/workflow of the SDK 3.27.0 write, for types without a Create call.
_OWN: Mapping[str, OwnShape] = {
    # The SDK 3.27.0 has no class for them, and no public source shows their arguments.
    **dict.fromkeys(
        [
            "Athena",
            "BedrockCustomModel",
            "BedrockCustomModelDeployment",
            "BedrockModelImport",
            "BedrockProvisionedModelThroughput",
        ],
        _OBJECT,
    ),
    # A Callback's message has them under "arguments"; a Lambda's function receives them as its event.
    **dict.fromkeys(["Callback", "Lambda"], OwnShape(type_name="map", key=_TEXT, value=_ANYTHING)),
    "Cleanup": _structure(["Resources"], Resources=_structure(["S3"], S3=_list(_CLEANED))),
    # The content of a condition is checked together with the expressions.
    "Condition": _structure(
        ["Conditions"], Conditions=_list(_ANYTHING, min=1), IfSteps=_STEPS, ElseSteps=_STEPS
    ),
    "EMR": _structure(
        ["StepConfig"],
        ClusterConfig=_OBJECT,
        ClusterId=_TEXT,
        ExecutionRoleArn=_TEXT,
        StepConfig=_structure(["HadoopJarStep"], ActionOnFailure=_TEXT, HadoopJarStep=_JAR),
    ),
    "EMRServerless": _structure(
        ["JobConfig"],
        ApplicationConfig=_OBJECT,
        ApplicationId=_TEXT,
        ExecutionRoleArn=_TEXT,
        JobConfig=_OBJECT,
    ),
    "Fail": _structure(
        ["ErrorMessage"],
        # fail_step.py writes an empty message if none is given.
        ErrorMessage=OwnShape(type_name="string", metadata={"max": MAX_ERROR_MESSAGE}),
    ),
    # for_each_step.py: MAX_CONCURRENCY_MIN and MAX_CONCURRENCY_MAX. The items are a list or an expression.
    "ForEach": _structure(
        ["IterableItems", "ForEachBody", "MaxConcurrency"],
        ForEachBody=_list(_OBJECT, min=1),
        IterableItems=_ANYTHING,
        MaxConcurrency=OwnShape(type_name="integer", metadata={"min": 1, "max": 50}),
        Selector=_structure(Field=_TEXT, Pick=_TEXT),
    ),
}


def step_shape(kind: str, model: ServiceModel) -> Any | None:
    """Return the shape of a step's arguments; None if the model does not have its call.

    :param kind: the step's type, which must be a known one.
    :param model: botocore's model of SageMaker.
    """
    if kind in CALLS:
        return _request(CALLS[kind].operation, model)
    if kind == "Lineage":
        return _lineage(model)
    return _OWN[kind]


def _request(operation: str, model: ServiceModel) -> Any | None:
    return model.operation_model(operation).input_shape if operation in model.operation_names else None


def _lineage(model: ServiceModel) -> OwnShape:
    """Return the shape of a Lineage step, which creates several entities (lineage_step.py)."""
    created = {"Actions": "CreateAction", "Artifacts": "CreateArtifact", "Contexts": "CreateContext"}
    entities = {key: _list(_request(operation, model) or _OBJECT) for key, operation in created.items()}
    association = _structure(
        ["Source", "Destination"], AssociationType=_TEXT, Destination=_ENTITY, Source=_ENTITY
    )
    return OwnShape(type_name="structure", members={**entities, "Associations": _list(association)})
