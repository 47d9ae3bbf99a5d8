"""The actions on executions and their steps."""

from __future__ import annotations

from operator import itemgetter

from sagemaker_local_runtime.api.paging import arranged, page, pick, within
from sagemaker_local_runtime.api.registry import Request, Response, action
from sagemaker_local_runtime.engine.pipelines import find_pipeline, version_of
from sagemaker_local_runtime.engine.record import EXECUTION, STEP
from sagemaker_local_runtime.exceptions import ValidationError
from sagemaker_local_runtime.runtime import Runtime
from sagemaker_local_runtime.store import public

_UPDATABLE = ("PipelineExecutionDisplayName", "PipelineExecutionDescription", "ParallelismConfiguration")


@action("StartPipelineExecution")
def start_pipeline_execution(runtime: Runtime, request: Request) -> Response:
    """Start an execution and return its ARN immediately."""
    return {"PipelineExecutionArn": runtime.executions.start(request)}


@action("DescribePipelineExecution")
def describe_pipeline_execution(runtime: Runtime, request: Request) -> Response:
    """Describe an execution."""
    return public(runtime.executions.find(request["PipelineExecutionArn"]))


@action("ListPipelineExecutions")
def list_pipeline_executions(runtime: Runtime, request: Request) -> Response:
    """List the executions of a pipeline, newest first by default."""
    pipeline = find_pipeline(runtime.account, request["PipelineName"])
    executions = runtime.account.store.list(EXECUTION, parent=pipeline["PipelineArn"])
    sort_key = "PipelineExecutionArn" if request.get("SortBy") == "PipelineExecutionArn" else "CreationTime"
    items = arranged(
        (item for item in executions if within(item["CreationTime"], request, "Created")),
        request,
        itemgetter(sort_key),
    )
    found, following = page(items, request, key="PipelineExecutionArn")
    return {"PipelineExecutionSummaries": [_summary(item) for item in found], **following}


@action("ListPipelineExecutionSteps")
def list_pipeline_execution_steps(runtime: Runtime, request: Request) -> Response:
    """List the steps that have started, latest first by default."""
    arn = request.get("PipelineExecutionArn")
    if not arn:
        raise ValidationError("PipelineExecutionArn is missing. Give the ARN of the execution.")
    runtime.executions.find(arn)
    items = arranged(runtime.account.store.list(STEP, parent=arn), request, itemgetter("StartTime"))
    found, following = page(items, request, key="StepName")
    return {"PipelineExecutionSteps": [public(step) for step in found], **following}


@action("ListPipelineParametersForExecution")
def list_pipeline_parameters_for_execution(runtime: Runtime, request: Request) -> Response:
    """List the parameters of an execution, including defaults."""
    values = runtime.executions.find(request["PipelineExecutionArn"])["_parameters"]
    items = [{"Name": name, "Value": value} for name, value in values.items()]
    found, following = page(items, request, key="Name")
    return {"PipelineParameters": found, **following}


@action("DescribePipelineDefinitionForExecution")
def describe_pipeline_definition_for_execution(runtime: Runtime, request: Request) -> Response:
    """Return the definition that an execution runs."""
    execution = runtime.executions.find(request["PipelineExecutionArn"])
    return pick(version_of(runtime.account.store, execution), ("PipelineDefinition", "CreationTime"))


@action("StopPipelineExecution")
def stop_pipeline_execution(runtime: Runtime, request: Request) -> Response:
    """Stop an execution: its running steps are stopped and no other step starts."""
    arn = request["PipelineExecutionArn"]
    runtime.executions.stop(arn, request["ClientRequestToken"])
    return {"PipelineExecutionArn": arn}


@action("RetryPipelineExecution")
def retry_pipeline_execution(runtime: Runtime, request: Request) -> Response:
    """Rerun the steps of a Failed or Stopped execution that have not succeeded."""
    arn = request["PipelineExecutionArn"]
    runtime.executions.retry(arn, request["ClientRequestToken"], request.get("ParallelismConfiguration"))
    return {"PipelineExecutionArn": arn}


@action("UpdatePipelineExecution")
def update_pipeline_execution(runtime: Runtime, request: Request) -> Response:
    """Change the display name, description or parallelism of an execution."""
    arn = request["PipelineExecutionArn"]
    runtime.executions.update(arn, {key: request[key] for key in _UPDATABLE if key in request})
    return {"PipelineExecutionArn": arn}


@action("SendPipelineExecutionStepSuccess")
def send_pipeline_execution_step_success(runtime: Runtime, request: Request) -> Response:
    """Complete a callback step with its outputs."""
    outputs = request.get("OutputParameters") or ()
    return {"PipelineExecutionArn": runtime.executions.callbacks.succeed(request["CallbackToken"], outputs)}


@action("SendPipelineExecutionStepFailure")
def send_pipeline_execution_step_failure(runtime: Runtime, request: Request) -> Response:
    """Fail a callback step."""
    reason = request.get("FailureReason")
    return {"PipelineExecutionArn": runtime.executions.callbacks.fail(request["CallbackToken"], reason)}


def _summary(execution: Request) -> Response:
    summary = {
        "PipelineExecutionArn": execution["PipelineExecutionArn"],
        "StartTime": execution["CreationTime"],
        "PipelineExecutionStatus": execution["PipelineExecutionStatus"],
    }
    optional = {
        "PipelineExecutionDescription": execution.get("PipelineExecutionDescription"),
        "PipelineExecutionDisplayName": execution.get("PipelineExecutionDisplayName"),
        "PipelineExecutionFailureReason": execution.get("FailureReason"),
    }
    return {**summary, **{key: value for key, value in optional.items() if value}}
