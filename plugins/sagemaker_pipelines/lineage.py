"""OpenLineage: what an execution read and wrote, a child run for each step, and the gate's verdict.

Only the provider ``apache-airflow-providers-openlineage`` causes this module to be imported. It calls the
methods of the operators in its listener, which has ten seconds; what they need is in the record of the
execution, so AWS is not called here.

https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.api import emit
from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.plugins import macros
from attrs import define
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import RunFacet, error_message_run, job_type_job, parent_run
from openlineage.client.uuid import generate_static_uuid

from sagemaker_pipelines.aws.objects import split_s3_uri
from sagemaker_pipelines.aws.record import ExecutionRecord
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.states import FAILED, STOPPED_STATUSES, SUCCEEDED

if TYPE_CHECKING:
    from sagemaker_pipelines.airflow_internals import RuntimeTaskInstanceProtocol

PRODUCER = "https://pypi.org/project/airflow-sagemaker-pipelines/"
PREFIX = "sagemakerPipelines"
_SCHEMA = "urn:airflow-sagemaker-pipelines:lineage:1#/$defs/"


@define
class ExecutionRunFacet(RunFacet):
    """The execution that a task waited for.

    :param pipelineExecutionArn: the execution.
    :param status: its status, as AWS writes it.
    :param rejected: whether the gate rejected the model.
    :param pipelineVersionId: the version of the pipeline.
    :param definitionHash: the hash of its definition.
    :param instanceSeconds: what its jobs billed; None if this could not be read.
    :param modelPackageArn: the model package that it registered.
    :param modelVersion: the version of the model package in its group.
    """

    pipelineExecutionArn: str
    status: str
    rejected: bool
    pipelineVersionId: int | None
    definitionHash: str | None
    instanceSeconds: float | None
    modelPackageArn: str | None
    modelVersion: int | None

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMA}ExecutionRunFacet"


@define
class StepRunFacet(RunFacet):
    """A step of the execution.

    :param stepName: its name in the definition.
    :param stepType: its type.
    :param status: its status, as AWS writes it.
    :param attempts: how often it was attempted.
    :param arn: the ARN of what it created, such as a job or a model package.
    :param cacheHit: whether its result comes from the cache.
    :param sourceExecutionArn: the execution that the result comes from, if it was not run.
    :param instanceType: the instances of its job.
    :param instanceSeconds: what its job billed.
    """

    stepName: str
    stepType: str | None
    status: str
    attempts: int
    arn: str | None
    cacheHit: bool
    sourceExecutionArn: str | None
    instanceType: str | None
    instanceSeconds: float | None

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMA}StepRunFacet"


@define
class GateRunFacet(RunFacet):
    """The comparison of a metric with its threshold.

    :param metric: the metric's name.
    :param value: its value.
    :param threshold: the threshold.
    :param operator: the comparison, by its name in the definition.
    :param verdict: ``accepted``, ``rejected`` or ``awaiting_approval``.
    :param pipelineExecutionArn: the execution.
    :param modelPackageArn: the model package that it registered.
    :param modelVersion: the version of the model package in its group.
    """

    metric: str
    value: float
    threshold: float
    operator: str
    verdict: str
    pipelineExecutionArn: str
    modelPackageArn: str | None
    modelVersion: int | None

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMA}GateRunFacet"


def execution_lineage(
    ti: RuntimeTaskInstanceProtocol, pushed: Mapping[str, Any]
) -> OperatorLineage[Any, Any]:
    """Return the lineage of a wait, and emit a child run for each step that has ended.

    :param ti: the task that waited.
    :param pushed: the record in its XCom.
    """
    record = ExecutionRecord.read(pushed)
    for step in record.steps:
        if step.started is not None and step.ended is not None:
            _emit_step(ti, record.pipeline_execution_arn, step)
    written = _output_datasets(uri for step in record.steps for uri in _outputs(step))
    intermediate = {(each.namespace, each.name) for each in written}
    read = _input_datasets(uri for step in record.steps for uri in step.inputs)
    package = next((arn for step in record.steps if (arn := _model_package(step))), None)
    facet = ExecutionRunFacet(
        pipelineExecutionArn=record.pipeline_execution_arn,
        status=record.status,
        rejected=record.rejected,
        pipelineVersionId=record.pipeline_version_id,
        definitionHash=record.definition_hash,
        instanceSeconds=record.instance_seconds,
        modelPackageArn=package,
        modelVersion=_model_version(package),
        producer=PRODUCER,
    )
    return OperatorLineage(
        inputs=[each for each in read if (each.namespace, each.name) not in intermediate],
        outputs=written,
        run_facets={f"{PREFIX}_execution": facet},
    )


def gate_lineage(gate: Mapping[str, Any]) -> OperatorLineage[Any, Any]:
    """Return the lineage of a branch: the report that it read, and what it decided.

    :param gate: its XCom.
    """
    package = gate["model_package_arn"]
    facet = GateRunFacet(
        **{name: gate[name] for name in ("metric", "value", "threshold", "operator", "verdict")},
        pipelineExecutionArn=gate["pipeline_execution_arn"],
        modelPackageArn=package,
        modelVersion=_model_version(package),
        producer=PRODUCER,
    )
    # A metric of a training job has no report in S3.
    reports = [uri for uri in [gate["report_uri"]] if uri.startswith("s3://")]
    return OperatorLineage(inputs=_input_datasets(reports), run_facets={f"{PREFIX}_gate": facet})


def _emit_step(ti: RuntimeTaskInstanceProtocol, pipeline_execution_arn: str, step: Step) -> None:
    assert step.started is not None
    assert step.ended is not None
    # The same step of the same execution is the same run, also if another attempt of the task emits it again.
    identity = f"{pipeline_execution_arn}/{step.name}/{step.attempts}"
    facets: dict[str, RunFacet] = {"parent": _parent(ti), f"{PREFIX}_step": _step_facet(step)}
    if step.status == FAILED and step.reason:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=step.reason, programmingLanguage="unknown", producer=PRODUCER
        )
    run = Run(runId=str(generate_static_uuid(step.started, identity.encode())), facets=facets)
    job_type = job_type_job.JobTypeJobFacet(
        processingType="BATCH", integration="SAGEMAKER", jobType="STEP", producer=PRODUCER
    )
    job = Job(
        namespace=_namespace(),
        name=f"{macros.lineage_job_name(ti)}.{step.name}",
        facets={"jobType": job_type},
    )
    emit(_event(RunState.START, step.started, run, job, step))
    emit(_event(_end_of(step), step.ended, run, job, step))


def _event(state: RunState, moment: datetime, run: Run, job: Job, step: Step) -> RunEvent:
    return RunEvent(
        eventType=state,
        eventTime=moment.isoformat(),
        run=run,
        job=job,
        inputs=_input_datasets(step.inputs),
        outputs=_output_datasets(_outputs(step)),
        producer=PRODUCER,
    )


def _end_of(step: Step) -> RunState:
    if step.status == SUCCEEDED:
        return RunState.COMPLETE
    return RunState.ABORT if step.status in STOPPED_STATUSES else RunState.FAIL


def _step_facet(step: Step) -> StepRunFacet:
    return StepRunFacet(
        stepName=step.name,
        stepType=step.type,
        status=step.status,
        attempts=step.attempts,
        arn=step.arn,
        cacheHit=step.is_cache_hit,
        sourceExecutionArn=step.source,
        instanceType=step.bill.instance_type if step.bill else None,
        instanceSeconds=step.bill.instance_seconds if step.bill else None,
        producer=PRODUCER,
    )


def _parent(ti: RuntimeTaskInstanceProtocol) -> parent_run.ParentRunFacet:
    root = parent_run.Root(
        run=parent_run.RootRun(runId=macros.lineage_root_run_id(ti)),
        job=parent_run.RootJob(
            namespace=macros.lineage_root_job_namespace(ti), name=macros.lineage_root_job_name(ti)
        ),
    )
    return parent_run.ParentRunFacet(
        run=parent_run.Run(runId=macros.lineage_run_id(ti)),
        job=parent_run.Job(namespace=_namespace(), name=macros.lineage_job_name(ti)),
        root=root,
        producer=PRODUCER,
    )


def _namespace() -> str:
    return str(macros.lineage_job_namespace())  # type: ignore[no-untyped-call]


def _outputs(step: Step) -> tuple[str, ...]:
    # A job that did not succeed may have written nothing.
    return step.outputs if step.status == SUCCEEDED else ()


def _model_package(step: Step) -> str | None:
    return step.arn if step.arn and ":model-package/" in step.arn else None


def _model_version(model_package_arn: str | None) -> int | None:
    """Return the last part of ``...:model-package/<group>/<version>``; None if it has no group."""
    version = (model_package_arn or "").rpartition("/")[2]
    return int(version) if version.isdecimal() else None


def _input_datasets(uris: Iterable[str]) -> list[InputDataset]:
    return [InputDataset(namespace=namespace, name=name) for namespace, name in _datasets(uris)]


def _output_datasets(uris: Iterable[str]) -> list[OutputDataset]:
    return [OutputDataset(namespace=namespace, name=name) for namespace, name in _datasets(uris)]


def _datasets(uris: Iterable[str]) -> list[tuple[str, str]]:
    """Return the namespaces and names of S3 URIs, each once: https://openlineage.io/docs/spec/naming."""
    parts = [split_s3_uri(uri) for uri in uris]
    # One step writes to `train`, and the next one reads `train/`.
    return list(dict.fromkeys((f"s3://{bucket}", key.rstrip("/") or "/") for bucket, key in parts))
