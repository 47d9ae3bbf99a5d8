"""Find the execution that proves a definition: it has succeeded with it, and registered the model."""

from __future__ import annotations

from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.errors import is_missing
from sagemaker_pipelines.aws.model_packages import approval_status, registered_model_packages
from sagemaker_pipelines.aws.upsert import PipelineUpsert
from sagemaker_pipelines.definition import definition_hash, iter_steps
from sagemaker_pipelines.exceptions import PromotionError
from sagemaker_pipelines.states import APPROVED, PENDING, SUCCEEDED

# How many executions are searched, from the newest on.
MAX_EXECUTIONS = 200


def find_proof(
    deployed: PipelineUpsert, model_package_arn: str | None, *, approved: bool
) -> tuple[str, str | None]:
    """Return the newest execution that proves a definition, and the package that it registered.

    :param deployed: the definition as it is deployed in the environment; nothing is upserted.
    :param model_package_arn: the package; None means that of the newest such execution.
    :param approved: whether to pass over packages that are not Approved; without effect on one that is named.
    :return: the execution's ARN; and the package's, or None if the definition registers none.
    :raises PromotionError: none of the newest executions proves the definition.
    """
    client, envelope, name = deployed.client, deployed.envelope, deployed.pipeline_name
    registers = any(step["Type"] == "RegisterModel" for step in iter_steps(deployed.definition))
    if model_package_arn and not registers:
        raise PromotionError(
            f"The definition {envelope.name!r} registers no model, but the package {model_package_arn} "
            "should be promoted with it; expected a package that an execution of this definition "
            "registered. Leave the package out, or name the definition that registered it."
        )
    executions = _executions(client, name)
    for arn in (each["PipelineExecutionArn"] for each in executions if _has_succeeded(each)):
        if definition_hash(client.execution_definition(arn)) != deployed.hash:
            continue
        if not registers:
            return arn, None
        for package in registered_model_packages(client, arn):
            if model_package_arn == package:
                return arn, package
            if model_package_arn is None and not (approved and not _is_approved(client, package)):
                return arn, package
    wanted = model_package_arn or ("an Approved model package" if approved else "a model package")
    cure = (
        f"Approve the package first (`sagemaker-pipelines approve`), promote it as {PENDING}, or"
        if approved and not model_package_arn
        else "Upsert this definition in the source environment and execute it, or"
    )
    raise PromotionError(
        f"None of the {len(executions)} newest executions of {name} in {client.region} is a succeeded one of "
        f"this definition (hash {deployed.hash[:12]}){f' that registered {wanted}' if registers else ''}. "
        f"Nothing was promoted. {cure} check out the definition that it executed. If the pipeline was "
        "deployed under another name, give that name."
    )


def _executions(client: SageMakerClient, pipeline_name: str) -> list[dict[str, Any]]:
    try:
        return list(islice(client.list_executions(pipeline_name), MAX_EXECUTIONS))
    except ClientError as error:
        if is_missing(error):
            return []
        raise


def _has_succeeded(summary: dict[str, Any]) -> bool:
    return bool(summary["PipelineExecutionStatus"] == SUCCEEDED)


def _is_approved(client: SageMakerClient, model_package_arn: str) -> bool:
    try:
        return approval_status(client, model_package_arn) == APPROVED
    except ClientError as error:
        if is_missing(error):
            return False
        raise
