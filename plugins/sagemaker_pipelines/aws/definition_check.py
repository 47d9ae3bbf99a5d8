"""Check a definition against the model of SageMaker that the hook's own client has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import botocore

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.definition import Problem, check


def check_definition(
    client: SageMakerClient, definition: Mapping[str, Any], *, name: str, allowed: Collection[str] = ()
) -> None:
    """Raise when SageMaker would refuse a definition; warn when only a newer SageMaker would accept it.

    :param client: whose client's model is compared, and whose log has the warnings.
    :param definition: the filled definition.
    :param name: what to call it in messages.
    :param allowed: names of arguments that are not checked, such as ``Training.NewMember``.
    :raises InvalidDefinitionError: SageMaker would refuse it.
    """

    def warn(problem: Problem) -> None:
        client.log.warning(
            "Pipeline %s: %s SageMaker will refuse it, unless it knows more than botocore %s does.",
            name,
            problem,
            botocore.__version__,
        )

    check(definition, client.sagemaker.meta.service_model, name=name, allowed=allowed, warn=warn)
