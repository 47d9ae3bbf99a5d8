"""The arguments of a start, and the checked request that is made from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagemaker_pipelines.aws.account import Logger
from sagemaker_pipelines.aws.budget import Bounds, check_bounds
from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.starts import steps_from
from sagemaker_pipelines.aws.versions import version_id
from sagemaker_pipelines.definition import Envelope, Parameter, check_parameters, parameters_of
from sagemaker_pipelines.exceptions import MissingDataError, ParameterError
from sagemaker_pipelines.masking import is_secret, masked
from sagemaker_pipelines.task.logical_start import LogicalStart
from sagemaker_pipelines.task.requests import effective_parameters, execution_request, resume_request


@dataclass(kw_only=True)
class StartInputs:
    """The rendered arguments of a start operator; the operator's docstring describes them.

    :param client: the client that calls AWS; the definition of a version is read at most once.
    :param log: where to log.
    :param bounds: what the execution may bill.
    """

    client: SageMakerClient
    log: Logger
    pipeline_name: str
    pipeline_params: Mapping[str, object]
    optional_params: Mapping[str, object]
    empty_is_default: Collection[str]
    definition: str | Path | None
    pipeline_version_id: int | str | None
    display_name: str | None
    description: str | None
    data_parameters: Sequence[str]
    selected_steps: Sequence[str] | None
    from_step: str | None
    source_execution_arn: str | None
    max_parallel_execution_steps: int | None
    bounds: Bounds = field(default_factory=Bounds)
    _deployed: dict[tuple[str, int | None], dict[str, Any]] = field(default_factory=dict)

    def request(self, start: LogicalStart) -> dict[str, Any]:
        """Return the arguments of the call that begins the execution, after checking all of them.

        :raises ParameterError: a value does not fit.
        :raises MissingDataError: S3 holds nothing where the execution would read.
        """
        source = _text(self.source_execution_arn)
        selected = self._selected(source)
        if source is not None and selected is None:
            if self.bounds:
                definition = self.client.execution_definition(source)
                check_bounds(self.client, self.bounds, definition, self.client.execution_parameters(source))
            return resume_request(start, source, description=_text(self.description))
        version = version_id(self.pipeline_version_id)
        parameters = self._parameters(version)
        left_out = self._left_out({parameter.name for parameter in parameters})
        given = {
            name: value
            for name, value in self.pipeline_params.items()
            if name not in left_out
            and (value != "" or (self.definition != "" and name not in self.empty_is_default))
        }
        values = check_parameters(parameters, given, is_secret=is_secret)
        if self.bounds:
            definition = self._definition(version)
            check_bounds(self.client, self.bounds, definition, values, selected_steps=selected)
        self._check_data(values, version, [name for name in self.data_parameters if name not in left_out])
        return execution_request(
            start,
            pipeline_name=self.pipeline_name,
            parameters=values,
            display_name=self.display_name or start.display_name,
            pipeline_version_id=version,
            selected_steps=selected,
            source_execution_arn=source,
            max_parallel_execution_steps=self.max_parallel_execution_steps,
            description=_text(self.description),
        )

    def effective_parameters(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Return the values that an execution runs with, sent or default, with secrets masked.

        :param request: the arguments of StartPipelineExecution, possibly from an earlier attempt.
        """
        deployed = self._deployed_parameters(request["PipelineName"], request.get("PipelineVersionId"))
        shown: dict[str, str] = masked(effective_parameters(deployed, request))
        return shown

    def _selected(self, source_execution_arn: str | None) -> list[str] | None:
        """Return the steps to run; None runs all."""
        from_step = _text(self.from_step)
        if from_step is None:
            return list(self.selected_steps) if self.selected_steps else None
        if source_execution_arn is None:
            raise ParameterError(
                f"from_step is {from_step!r}, but source_execution_arn is not set. Expected the ARN of an "
                "earlier execution whose results replace the steps before it. Set source_execution_arn."
            )
        return steps_from(self.client.execution_definition(source_execution_arn), from_step)

    def _parameters(self, version: int | None) -> tuple[Parameter, ...]:
        if self.definition not in (None, "", "None"):
            return Envelope.load(self.definition).parameters
        return self._deployed_parameters(self.pipeline_name, version)

    def _definition(self, version: int | None) -> dict[str, Any]:
        if self.definition not in (None, "", "None"):
            return Envelope.load(self.definition).definition
        return self._deployed_definition(self.pipeline_name, version)

    def _deployed_parameters(self, pipeline_name: str, version: int | None) -> tuple[Parameter, ...]:
        return parameters_of(self._deployed_definition(pipeline_name, version))

    def _deployed_definition(self, pipeline_name: str, version: int | None) -> dict[str, Any]:
        key = (pipeline_name, version)
        if key not in self._deployed:
            self._deployed[key] = self.client.deployed_definition(pipeline_name, pipeline_version_id=version)
        return self._deployed[key]

    def _left_out(self, known: Collection[str]) -> set[str]:
        """Return the names of the values that the version does not know and that nobody has chosen."""
        left_out = {
            name
            for name, value in self.optional_params.items()
            if name not in known and self.pipeline_params.get(name) in (None, value)
        }
        if left_out:
            self.log.info(
                "Left out, because the version has no such parameter: %s", ", ".join(sorted(left_out))
            )
        return left_out

    def _check_data(self, values: Mapping[str, str], version: int | None, names: Sequence[str]) -> None:
        """Raise if S3 holds nothing at the URI of a data parameter, whether it is sent or a default."""
        uris = {name: values[name] for name in names if name in values}
        if len(uris) < len(names):
            deployed = self._deployed_parameters(self.pipeline_name, version)
            defaults = {parameter.name: parameter.default for parameter in deployed}
            for name in names:
                if name not in defaults:
                    raise ParameterError(
                        f"data_parameters has {name!r}, which is not a parameter of {self.pipeline_name}; "
                        f"expected one of {', '.join(sorted(defaults)) or '(none declared)'}. Correct the "
                        "name, or remove it."
                    )
                uris.setdefault(name, str(defaults[name]))
        if missing := {name: uri for name, uri in uris.items() if not self._exists(name, uri)}:
            raise MissingDataError(masked(missing))

    def _exists(self, name: str, uri: str) -> bool:
        try:
            return self.client.object_exists(uri)
        except ValueError as error:
            raise ParameterError(f"{name}: {masked({name: str(error)})[name]}") from error


def _text(value: str | None) -> str | None:
    # A template renders to a string, and None to "None".
    return None if value is None or value in {"", "None"} else value
