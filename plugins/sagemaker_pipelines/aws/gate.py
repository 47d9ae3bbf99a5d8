"""Read the gate of an execution: its report in S3, its threshold, and the model that it registered."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.objects import is_absent, split_s3_uri
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.definition import Gate, Parameter, gate_of
from sagemaker_pipelines.definition.json_path import value_at
from sagemaker_pipelines.exceptions import EvaluationError
from sagemaker_pipelines.reading import finite_number, parse_json

# The source of a cached step may be a cached step itself; a loop would be AWS's fault, but must end here.
MAX_SOURCES = 20


@dataclass(frozen=True, kw_only=True)
class GateReading:
    """What the gate compared.

    :param metric: what people call the metric, such as ``mse``.
    :param value: its value in the report.
    :param threshold: the threshold of this execution, read back from its parameters.
    :param operator: the comparison, by its name in the definition.
    :param passed: whether the metric passes the threshold.
    :param report_uri: the S3 URI of the report, or the ARN of the training job, tuning job or function that
        has the metric.
    """

    metric: str
    value: float
    threshold: float
    operator: str
    passed: bool
    report_uri: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types, for XCom."""
        return asdict(self)


def read_gate(
    client: SageMakerClient, pipeline_execution_arn: str, *, condition_step: str | None = None
) -> GateReading:
    """Compare the metric in the execution's report with the execution's own threshold.

    :param client: calls AWS.
    :param pipeline_execution_arn: the execution, which must have written its report.
    :param condition_step: the Condition step that is the gate; required if several steps read a metric.
    :raises GateError: the execution's definition has no such gate.
    :raises EvaluationError: the report is missing or broken, or its metric is not a finite number.
    """
    definition = client.execution_definition(pipeline_execution_arn)
    gate = gate_of(definition, condition_step=condition_step)
    if gate.metric_name is not None:
        read = output_metric if gate.is_output else tuning_metric if gate.is_tuned else training_metric
        uri, value = read(client, pipeline_execution_arn, gate)
    else:
        uri = report_uri(client, pipeline_execution_arn, gate)
        value = read_metric(client, uri, gate.json_path)
    threshold = _threshold(client, pipeline_execution_arn, gate)
    return GateReading(
        metric=gate.label,
        value=value,
        threshold=threshold,
        operator=gate.operator,
        passed=gate.passes(value, threshold),
        report_uri=uri,
    )


def report_uri(client: SageMakerClient, pipeline_execution_arn: str, gate: Gate) -> str:
    """Return the S3 URI of the gate's report, found through the processing job of its step.

    :raises EvaluationError: the step ran no job, or the job has no such output.
    """
    job_arn = resource_of_step(client, pipeline_execution_arn, gate.report_step, "Processing")
    if job_arn is None:
        raise EvaluationError(
            f"Step {gate.report_step} of {pipeline_execution_arn} ran no processing job, so the report "
            f"{gate.file_path} does not exist. Check the step's status and reason."
        )
    job = client.sagemaker.describe_processing_job(ProcessingJobName=job_arn.rpartition("/")[2])
    outputs = {
        output["OutputName"]: output["S3Output"]["S3Uri"]
        for output in job.get("ProcessingOutputConfig", {}).get("Outputs", [])
        if "S3Output" in output
    }
    if gate.output_name not in outputs:
        raise EvaluationError(
            f"{job_arn} has the outputs {sorted(outputs)}; expected {gate.output_name!r}, the output with "
            f"the property file {gate.property_file}. Correct the property file's output_name in the "
            "definition."
        )
    return f"{outputs[gate.output_name].rstrip('/')}/{gate.file_path}"


def training_metric(client: SageMakerClient, pipeline_execution_arn: str, gate: Gate) -> tuple[str, float]:
    """Return the ARN of the gate's training job, and the job's final value of the gate's metric.

    :raises EvaluationError: the step ran no job, the job has no such metric, or it is not a finite number.
    """
    job_arn = resource_of_step(client, pipeline_execution_arn, gate.report_step, "Training")
    if job_arn is None:
        raise EvaluationError(
            f"Step {gate.report_step} of {pipeline_execution_arn} ran no training job, so the metric "
            f"{gate.metric_name} does not exist. Check the step's status and reason."
        )
    job = client.sagemaker.describe_training_job(TrainingJobName=job_arn.rpartition("/")[2])
    metrics = {item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", ())}
    if gate.metric_name not in metrics:
        raise EvaluationError(
            f"{job_arn} has the metrics {sorted(metrics)}; expected {gate.metric_name!r}. No model is "
            "accepted; correct the metric's name in the condition, or the MetricDefinitions of the step."
        )
    return job_arn, _finite(metrics[gate.metric_name], str(gate.metric_name), job_arn)


def tuning_metric(client: SageMakerClient, pipeline_execution_arn: str, gate: Gate) -> tuple[str, float]:
    """Return the ARN of the gate's tuning job, and the objective metric of its best training job.

    :raises EvaluationError: the step ran no job, no training job has the metric, or it is not finite.
    """
    job_arn = resource_of_step(client, pipeline_execution_arn, gate.report_step, "Tuning")
    if job_arn is None:
        raise EvaluationError(
            f"Step {gate.report_step} of {pipeline_execution_arn} ran no tuning job, so the metric "
            f"{gate.metric_name} does not exist. Check the step's status and reason."
        )
    name = job_arn.rpartition("/")[2]
    job = client.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    final = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    if final is None:
        raise EvaluationError(
            f"{job_arn} has no best training job; expected one with the metric {gate.metric_name!r}. No "
            "model is accepted; check the status of the tuning job and of its training jobs."
        )
    return job_arn, _finite(final["Value"], str(gate.metric_name), job_arn)


def output_metric(client: SageMakerClient, pipeline_execution_arn: str, gate: Gate) -> tuple[str, float]:
    """Return the ARN of the function of the gate's Lambda step, and the output that is the metric.

    :raises EvaluationError: the step called no function, has no such output, or it is not a finite number.
    """
    step, name = (
        _step_with_result(client, pipeline_execution_arn, gate.report_step, "Lambda"),
        gate.metric_name,
    )
    value = step.output_parameters.get(str(name)) if step else None
    if step is None or value is None:
        outputs = sorted(step.output_parameters) if step else []
        raise EvaluationError(
            f"Step {gate.report_step} of {pipeline_execution_arn} has outputs {outputs}; expected {name!r}. "
            "No model is accepted; check the step's status and reason."
        )
    try:
        return str(step.arn), finite_number(value)
    except ValueError as error:
        raise EvaluationError(
            f"{name} of {step.arn} is {value!r}; expected a finite number. No model is accepted; correct "
            "what the function returns."
        ) from error


def resource_of_step(
    client: SageMakerClient, pipeline_execution_arn: str, step_name: str, step_type: str
) -> str | None:
    """Return the ARN of what a step created, even if it comes from another execution.

    That is so after a cache hit, and in a selective execution.

    :param client: calls AWS.
    :param pipeline_execution_arn: the execution.
    :param step_name: the step.
    :param step_type: the step's type: ``Processing``, ``RegisterModel`` and so on.
    """
    step = _step_with_result(client, pipeline_execution_arn, step_name, step_type)
    return step.arn if step else None


def _step_with_result(
    client: SageMakerClient, pipeline_execution_arn: str, step_name: str, step_type: str
) -> Step | None:
    """Return a step as the execution lists it that really ran it."""
    arn: str | None = pipeline_execution_arn
    for _ in range(MAX_SOURCES):
        if arn is None:
            return None
        step = next((step for step in client.list_steps(arn) if step.name == step_name), None)
        if step is not None and step.type == step_type and step.arn:
            return step
        arn = _source_of_execution(client, arn) if step is None else step.source
    return None


def read_metric(client: SageMakerClient, uri: str, json_path: str) -> float:
    """Return the finite number at a path of a JSON report in S3; anything else is an error.

    :param client: calls AWS.
    :param uri: the report's S3 URI.
    :param json_path: the path in the report, as JsonGet writes it.
    :raises EvaluationError: the file is missing or not JSON, the path is wrong, or the value is NaN,
        infinite, text or a boolean.
    """
    return _finite(_at_path(read_report(client, uri), json_path, uri), json_path, uri)


def _finite(value: Any, what: str, source: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EvaluationError(
            f"{what} in {source} is {value!r} ({type(value).__name__}); expected a number. "
            "No model is accepted; correct what the evaluation script writes."
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise EvaluationError(
            f"{what} in {source} is {value}; expected a finite number. No model is accepted; look for empty "
            "or diverging predictions in the evaluation."
        )
    return number


def read_report(client: SageMakerClient, uri: str) -> Any:
    """Return the JSON document of a report in S3.

    :raises EvaluationError: the file is missing or not JSON.
    """
    try:
        content = client.read_object(uri)
    except ClientError as error:
        if not is_absent(client.s3, error, *split_s3_uri(uri)):
            raise
        raise EvaluationError(
            f"The report {uri} does not exist. No model is accepted; check that the evaluation step writes "
            "this file, and that nobody has deleted it since."
        ) from error
    try:
        return parse_json(content)
    except ValueError as error:
        raise EvaluationError(
            f"The report {uri} is not JSON: {error}. No model is accepted; correct what the evaluation "
            "script writes."
        ) from error


def _at_path(document: Any, json_path: str, uri: str) -> Any:
    try:
        return value_at(document, json_path)
    except ValueError as error:
        raise EvaluationError(str(error)) from error
    except LookupError as error:
        raise EvaluationError(
            f"{uri} has nothing at {json_path}: {error}. No model is accepted; correct the path in the "
            "definition, or the evaluation script."
        ) from error


def _threshold(client: SageMakerClient, pipeline_execution_arn: str, gate: Gate) -> float:
    name, given = "", str(gate.threshold)
    if isinstance(gate.threshold, Parameter):
        parameter = gate.threshold
        # AWS does not document whether it lists defaults, too; the execution's own definition has them.
        sent = client.execution_parameters(pipeline_execution_arn)
        name, given = f" {parameter.name}", str(sent.get(parameter.name, parameter.default))
    try:
        return finite_number(given)
    except ValueError:
        raise EvaluationError(
            f"The threshold{name} of {pipeline_execution_arn} is {given!r}; expected a finite number. "
            "No model is accepted; start the pipeline with a number."
        ) from None


def _source_of_execution(client: SageMakerClient, arn: str) -> str | None:
    """Return the execution from which a selective execution takes the steps that it does not list itself."""
    source = client.describe_execution(arn).get("SelectiveExecutionConfig", {})
    found: str | None = source.get("SourcePipelineExecutionArn")
    return found
