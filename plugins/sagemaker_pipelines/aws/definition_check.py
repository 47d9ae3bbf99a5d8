"""Check a definition against the model of SageMaker in the client that is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import botocore

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.definition import Problem, check


def check_definition(
    client: SageMakerClient, definition: Mapping[str, Any], *, name: str, allowed: Collection[str] = ()
) -> None:
    """Raise an error if SageMaker would refuse a definition; warn if only a newer SageMaker would accept it.

    :param client: provides the model of SageMaker, and the log for the warnings.
    :param definition: the filled definition.
    :param name: the definition's name in messages.
    :param allowed: names of arguments that are not checked, such as ``Training.NewMember``.
    :raises InvalidDefinitionError: SageMaker would refuse it.
    """

    def warn(problem: Problem) -> None:
        client.log.warning(
            "Pipeline %s: %s SageMaker will refuse it, unless SageMaker is newer than botocore %s.",
            name,
            problem,
            botocore.__version__,
        )

    check(definition, client.sagemaker.meta.service_model, name=name, allowed=allowed, warn=warn)
