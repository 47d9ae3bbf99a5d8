"""Deploy the Lambda functions of a definition: create or update them, or leave them as they are.

https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.definition_diff import definition_diff
from sagemaker_pipelines.aws.environment import environment_of, marked, settled
from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.definition.functions import Function
from sagemaker_pipelines.exceptions import UpsertError
from sagemaker_pipelines.states import FAILED

_DESCRIPTION = "Called by pipelines."
# Lambda has not yet taken over the last change.
_UNSETTLED = {"Pending", "InProgress"}


@dataclass(frozen=True, kw_only=True)
class DeployableFunction:
    """A function, and where its code is.

    :param function: the function, filled.
    :param bucket: the bucket with the archive of its code.
    :param key: the archive's key.
    :param code_sha256: the hash of the archive as Lambda shows it: Base64.
    """

    function: Function
    bucket: str
    key: str
    code_sha256: str

    @property
    def shown(self) -> dict[str, Any]:
        """Everything that an upsert compares."""
        return {**_comparable(self.function.settings), "CodeSha256": self.code_sha256}

    @property
    def location(self) -> dict[str, str]:
        """Where Lambda finds the code."""
        return {"S3Bucket": self.bucket, "S3Key": self.key}


@dataclass(frozen=True, kw_only=True)
class FunctionChange:
    """What an upsert writes for one function.

    :param wanted: what will be deployed.
    :param description: the function's new description, which contains the environment.
    :param created: whether the function does not exist yet.
    :param code: whether the code differs.
    :param settings: whether the settings or the description differ, or Lambda could not run the function.
    """

    wanted: DeployableFunction
    description: str
    created: bool
    code: bool
    settings: bool

    def apply(self, client: SageMakerClient) -> None:
        """Write the change, and wait until Lambda has taken it over: meanwhile it refuses other writes.

        :raises UpsertError: Lambda cannot run the function.
        """
        name, lambda_ = self.wanted.function.name, client.functions
        request = {
            "FunctionName": name,
            "Description": self.description,
            **self.wanted.function.settings,
        }
        if self.created:
            lambda_.create_function(**request, Code=self.wanted.location)
            _wait(client, "function_active_v2", name)
        else:
            if self.code:
                lambda_.update_function_code(FunctionName=name, **self.wanted.location)
                _wait(client, "function_updated_v2", name)
            if self.settings:
                lambda_.update_function_configuration(**request)
                _wait(client, "function_updated_v2", name)
        client.log.info("%s function %s", "Created" if self.created else "Updated", name)


def function_changes(
    client: SageMakerClient, functions: Iterable[DeployableFunction], *, environment: str
) -> list[FunctionChange]:
    """Return what an upsert has to write, and log the differences; this makes one read call per function.

    :param client: calls AWS.
    :param functions: what should be deployed.
    :param environment: the environment that they will belong to.
    :raises EnvironmentConflictError: a function belongs to another environment.
    :raises UpsertError: an earlier upsert has written a function that Lambda cannot run.
    """
    changes = (_change(client, wanted, environment) for wanted in functions)
    return [change for change in changes if change is not None]


def _change(client: SageMakerClient, wanted: DeployableFunction, environment: str) -> FunctionChange | None:
    name = wanted.function.name
    deployed = _deployed(client, name)
    # A function without a mark was deployed by something else; equal to this one, it stays so.
    owner = environment_of((deployed or {}).get("Description"))
    description = marked(_DESCRIPTION, settled(f"Lambda function {name!r}", owner, environment))
    before, after = {} if deployed is None else _shown(deployed), wanted.shown
    # Written again, it may run: the cause may have been in its role or its network.
    failed = FAILED in _states(deployed)
    if before == after and not failed:
        if _UNSETTLED & _states(deployed):
            _wait(client, "function_active_v2", name)
            _wait(client, "function_updated_v2", name)
        return None
    client.log.info(
        "Lambda function %s %s:\n%s",
        name,
        "could not run, and is written again" if failed else "changes",
        definition_diff(before, after, masked=client.account.masked),
    )
    settings = {**before, "CodeSha256": ""} != {**after, "CodeSha256": ""} or owner is None or failed
    return FunctionChange(
        wanted=wanted,
        description=description,
        created=deployed is None,
        code=before.get("CodeSha256") != after["CodeSha256"],
        settings=settings,
    )


def _deployed(client: SageMakerClient, name: str) -> dict[str, Any] | None:
    """Return the configuration of a function, or None if it does not exist."""
    try:
        answer = client.functions.get_function(FunctionName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    configuration: dict[str, Any] = answer["Configuration"]
    return configuration


def _states(configuration: Mapping[str, Any] | None) -> set[Any]:
    return {(configuration or {}).get(name) for name in ("State", "LastUpdateStatus")}


def _shown(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an upsert compares of the configuration that Lambda returns."""
    layers = [layer["Arn"] for layer in configuration.get("Layers", ())]
    return {
        **_comparable({**configuration, "Layers": layers}),
        "CodeSha256": configuration.get("CodeSha256"),
    }


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without what Lambda adds to them; lists are sorted if their order has no effect."""
    vpc = settings.get("VpcConfig") or {}
    environment = settings.get("Environment") or {}
    return {
        **{key: settings.get(key) for key in ("Handler", "MemorySize", "Role", "Runtime", "Timeout")},
        "Environment": {"Variables": environment.get("Variables") or {}},
        "Layers": list(settings["Layers"]),
        "VpcConfig": {key: sorted(vpc.get(key, ())) for key in ("SecurityGroupIds", "SubnetIds")},
    }


def _wait(client: SageMakerClient, waiter: str, name: str) -> None:
    try:
        client.functions.get_waiter(waiter).wait(FunctionName=name)
    except WaiterError as error:
        state = error.last_response.get("Configuration", {})
        reason = state.get("StateReason") or state.get("LastUpdateStatusReason") or str(error)
        raise UpsertError(
            f"The Lambda function {name!r} cannot run: {reason}. Correct its settings in the pipeline's "
            "sources, compile, and upsert again."
        ) from error
