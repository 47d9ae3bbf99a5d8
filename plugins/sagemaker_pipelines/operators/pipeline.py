"""Upsert a pipeline, and start its execution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerStartPipelineOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.common.compat.sdk import AirflowFailException

from sagemaker_pipelines.definition import Envelope, check_parameters, parameters_of
from sagemaker_pipelines.exceptions import MissingDataError, ParameterError, SageMakerPipelinesError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.links.pipeline import SageMakerFailedStepLogLink, SageMakerPipelineExecutionLink
from sagemaker_pipelines.starting import LogicalStart, display_name_of, execution_request
from sagemaker_pipelines.waiting import ExecutionWaitMixin

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerUpsertPipelineOperator(AwsBaseOperator[SageMakerPipelineHook]):
    """Create or update the pipeline of a compiled definition where it differs from what is deployed.

    Role, bucket, name prefix, KMS key, VPC and tags come from the connection's environment (see
    :mod:`sagemaker_pipelines.settings`). An unchanged definition costs two reads and no write.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html

    :param definition: path of the compiled definition. Templated.
    :param pipeline_name: name to deploy under; None takes the definition's with the environment's prefix.
        Templated.
    :param max_parallel_execution_steps: bound on the steps of one execution that run at once; None sets
        none and leaves what is deployed.
    :param tags: tags of the pipeline and of its jobs, besides the environment's. Templated.
    :return: ``{"pipeline_name", "pipeline_arn", "pipeline_version_id", "changed", "created",
        "definition_hash"}``; pass the version to the start, so that no other upsert comes between.
    :raises AirflowFailException: the definition, a setting or a placeholder is not usable.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields("definition", "pipeline_name", "tags")
    ui_color = "#ededed"

    def __init__(
        self,
        *,
        definition: str | Path,
        pipeline_name: str | None = None,
        max_parallel_execution_steps: int | None = None,
        tags: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_parallelism(max_parallel_execution_steps)
        self.definition = str(definition)
        self.pipeline_name = pipeline_name
        self.max_parallel_execution_steps = max_parallel_execution_steps
        self.tags = tags

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploy, and return what is deployed."""
        try:
            result = self.hook.upsert_pipeline(
                Envelope.load(self.definition),
                pipeline_name=self.pipeline_name,
                max_parallel_execution_steps=self.max_parallel_execution_steps,
                tags=self.tags,
            )
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        return result.as_dict()


class SageMakerStartPipelineExecutionOperator(ExecutionWaitMixin, SageMakerStartPipelineOperator):
    """Start an execution of a pipeline, and wait for it if asked to.

    Extends the provider's operator; its arguments keep their names and meaning, except that ``deferrable``
    alone does not wait. The execution's ARN is in XCom (``pipeline_execution_arn``) as soon as there is one.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html

    :param pipeline_name: the pipeline's name or ARN. Templated.
    :param pipeline_params: values of any type, checked against the definition's parameters before
        anything is called, and sent as the strings that AWS wants; None leaves a parameter to its default.
        Templated.
    :param definition: path of the compiled definition to check against; None reads the deployed one.
        Templated.
    :param pipeline_version_id: the version to execute, from the upsert's XCom; None takes the newest.
        Templated.
    :param display_name: name of the execution in SageMaker; None makes one from the run id. Templated.
    :param data_parameters: names of the parameters that are S3 URIs to be read: if nothing is stored
        there, the task fails before anything starts.
    :param selected_steps: run these steps only, the others' results come from ``source_execution_arn``.
        Templated.
    :param source_execution_arn: the earlier execution of a selective one; None takes the newest. Templated.
    :param max_parallel_execution_steps: bound on this execution's steps that run at once.
    :param wait_for_completion: wait, as the sensor does, and return its outcome instead of the ARN.
    :param deferrable: wait in the triggerer.
    :param check_interval: the longest time between two looks, seconds, default 30.
    :param waiter_max_attempts: with ``check_interval``, how long to wait at most.
    :param rejection_steps: see the sensor. Templated.
    :return: the ARN; with ``wait_for_completion`` the sensor's outcome.
    :raises AirflowFailException: a parameter does not fit, data are missing, or the execution failed in a
        way that a retry cannot change.
    """

    aws_hook_class = SageMakerPipelineHook
    template_fields: Sequence[str] = aws_template_fields(
        "pipeline_name",
        "display_name",
        "pipeline_params",
        "definition",
        "pipeline_version_id",
        "selected_steps",
        "source_execution_arn",
        "rejection_steps",
    )
    operator_extra_links = (SageMakerPipelineExecutionLink(), SageMakerFailedStepLogLink())

    def __init__(
        self,
        *,
        pipeline_name: str,
        pipeline_params: Mapping[str, object] | None = None,
        definition: str | Path | None = None,
        pipeline_version_id: int | str | None = None,
        display_name: str | None = None,
        data_parameters: Sequence[str] = (),
        selected_steps: Sequence[str] | None = None,
        source_execution_arn: str | None = None,
        max_parallel_execution_steps: int | None = None,
        rejection_steps: Iterable[str] | None = None,
        check_interval: int = 30,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pipeline_name=pipeline_name,
            display_name=display_name,  # type: ignore[arg-type] # None is replaced before the call
            pipeline_params=pipeline_params,  # type: ignore[arg-type] # any mapping of values
            check_interval=check_interval,
            **kwargs,
        )
        _check_parallelism(max_parallel_execution_steps)
        if source_execution_arn is not None and selected_steps is None:
            raise ValueError("source_execution_arn needs selected_steps: which steps are to be run again.")
        self.definition = None if definition is None else str(definition)
        self.pipeline_version_id = pipeline_version_id
        self.data_parameters = data_parameters
        self.selected_steps = selected_steps
        self.source_execution_arn = source_execution_arn
        self.max_parallel_execution_steps = max_parallel_execution_steps
        self.rejection_steps = rejection_steps

    def execute(self, context: Context) -> Any:
        """Start, then return the ARN or wait."""
        try:
            request = self._request(context)
        except SageMakerPipelinesError as error:
            raise AirflowFailException(str(error)) from error
        arn = self.pipeline_hook.start_execution(request)
        self.begin_wait(context, arn)
        self.log.info("Started %s with %s", arn, request.get("PipelineParameters"))
        if not self.wait_for_completion:
            return arn
        timeout = float(self.check_interval) * self.waiter_max_attempts
        if self.deferrable:
            self.defer_wait(arn, waiter_delay=self.check_interval, timeout=timeout)
        return self.wait(context, arn, waiter_delay=self.check_interval, timeout=timeout)

    def _request(self, context: Context) -> dict[str, Any]:
        """Return the arguments of StartPipelineExecution, all checked."""
        version = _version_id(self.pipeline_version_id)
        values = check_parameters(self._parameters(version), self.pipeline_params or {})
        self._check_data(values, version)
        start = LogicalStart.of(context)
        return execution_request(
            start,
            pipeline_name=self.pipeline_name,
            pipeline_params=values,
            display_name=self.display_name or display_name_of(start.run_id),
            pipeline_version_id=version,
            selected_steps=self.selected_steps,
            source_execution_arn=self.source_execution_arn,
            max_parallel_execution_steps=self.max_parallel_execution_steps,
        )

    def _parameters(self, version: int | None) -> Any:
        if self.definition is not None:
            return Envelope.load(self.definition).parameters
        return parameters_of(
            self.pipeline_hook.deployed_definition(self.pipeline_name, pipeline_version_id=version)
        )

    def _check_data(self, values: Mapping[str, str], version: int | None) -> None:
        """Raise for the data parameters whose URI holds nothing, sent or left to the deployed default."""
        uris = {name: values[name] for name in self.data_parameters if name in values}
        if len(uris) < len(self.data_parameters):
            deployed = self.pipeline_hook.deployed_definition(self.pipeline_name, pipeline_version_id=version)
            defaults = {parameter.name: parameter.default for parameter in parameters_of(deployed)}
            for name in self.data_parameters:
                if name not in defaults:
                    raise ParameterError(
                        f"data_parameters names {name!r}, which is no parameter of {self.pipeline_name}; "
                        f"known are {', '.join(sorted(defaults))}."
                    )
                uris.setdefault(name, str(defaults[name]))
        missing = {name: uri for name, uri in uris.items() if not self._exists(name, uri)}
        if missing:
            raise MissingDataError(missing)

    def _exists(self, name: str, uri: str) -> bool:
        try:
            return self.pipeline_hook.object_exists(uri)
        except ValueError as error:
            raise ParameterError(f"{name}: {error}") from error


def _version_id(value: int | str | None) -> int | None:
    # A template renders to text, and a None of the upsert's XCom to "None".
    if value is None or value in {"", "None"}:
        return None
    try:
        return int(value)
    except ValueError:
        raise ParameterError(
            f"pipeline_version_id is {value!r}; expected a whole number, such as the upsert's XCom has."
        ) from None


def _check_parallelism(value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError(
            f"max_parallel_execution_steps is {value}; expected at least 1, or None for no bound."
        )
