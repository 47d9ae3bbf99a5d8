"""The gate of an execution: report, metric and threshold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.stub import Stubber

from sagemaker_pipelines.aws.client import SageMakerClient
from sagemaker_pipelines.aws.gate import read_gate, read_metric, resource_of_step
from sagemaker_pipelines.aws.objects import split_s3_uri
from sagemaker_pipelines.aws.steps import Step
from sagemaker_pipelines.exceptions import DefinitionError, EvaluationError, GateError
from tests.unit.sagemaker_pipelines.samples import ARN, BUCKET, JOB_ARN, gated_definition

OTHER = ARN.replace("abcdefgh1234", "source123456")
URI = f"s3://{BUCKET}/dev-gated/evaluation/evaluation.json"
TRAINING_ARN = JOB_ARN.replace("processing-job", "training-job")
PATH = "regression_metrics.mse.value"


def store(client: SageMakerClient, report: Any) -> None:
    body = report if isinstance(report, bytes) else json.dumps(report).encode()
    bucket, key = split_s3_uri(URI)
    client.s3.put_object(Bucket=bucket, Key=key, Body=body)


def mse(value: Any) -> dict[str, Any]:
    return {"regression_metrics": {"mse": {"value": value}}}


def steps(stubber: Stubber, arn: str, *found: dict[str, Any]) -> None:
    stubber.add_response(
        "list_pipeline_execution_steps",
        {"PipelineExecutionSteps": [{"StepStatus": "Succeeded", **step} for step in found]},
        {"PipelineExecutionArn": arn, "SortOrder": "Ascending", "MaxResults": 100},
    )


def gate(stubber: Stubber, definition: dict[str, Any] | None = None) -> None:
    """Answer everything that reading the gate asks before the threshold."""
    stubber.add_response(
        "describe_pipeline_definition_for_execution",
        {"PipelineDefinition": json.dumps(definition or gated_definition())},
    )
    steps(stubber, ARN, {"StepName": "Evaluate", "Metadata": {"ProcessingJob": {"Arn": JOB_ARN}}})
    job(stubber)


def job(stubber: Stubber, output: str = "evaluation") -> None:
    uri = f"s3://{BUCKET}/dev-gated/evaluation"
    stubber.add_response(
        "describe_processing_job",
        {
            "ProcessingJobName": "job-1",
            "ProcessingJobArn": JOB_ARN,
            "ProcessingJobStatus": "Completed",
            "AppSpecification": {"ImageUri": "image"},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            "CreationTime": 0,
            "ProcessingOutputConfig": {
                "Outputs": [{"OutputName": output, "S3Output": {"S3Uri": uri, "S3UploadMode": "EndOfJob"}}]
            },
        },
        {"ProcessingJobName": "job-1"},
    )


def parameters(stubber: Stubber, **values: str) -> None:
    stubber.add_response(
        "list_pipeline_parameters_for_execution",
        {"PipelineParameters": [{"Name": name, "Value": value} for name, value in values.items()]},
    )


@pytest.mark.parametrize(
    ("sent", "threshold", "passed"),
    [
        ({"MseThreshold": "3.0"}, 3.0, False),
        ({"MseThreshold": "4.9"}, 4.9, True),
        ({"Count": "2"}, 6.0, True),
    ],
)
def test_the_metric_is_compared_with_the_executions_own_threshold_or_its_definitions_default(
    client: SageMakerClient, sagemaker: Stubber, sent: dict[str, str], threshold: float, passed: bool
) -> None:
    store(client, mse(4.9))
    gate(sagemaker)
    parameters(sagemaker, **sent)
    assert read_gate(client, ARN).as_dict() == {
        "metric": "mse",
        "value": 4.9,
        "threshold": threshold,
        "operator": "LessThanOrEqualTo",
        "passed": passed,
        "report_uri": URI,
    }


def test_a_constant_threshold_asks_for_no_parameters(client: SageMakerClient, sagemaker: Stubber) -> None:
    definition = gated_definition()
    definition["Steps"][1]["Arguments"]["Conditions"][0]["RightValue"] = 4
    store(client, mse(4.9))
    gate(sagemaker, definition)
    assert not read_gate(client, ARN).passed


@pytest.mark.parametrize("value", ["six", "nan", "inf", "", "1_000", "\N{ARABIC-INDIC DIGIT SIX}"])
def test_a_threshold_that_is_no_finite_number_accepts_nothing(
    client: SageMakerClient, sagemaker: Stubber, value: str
) -> None:
    store(client, mse(4.9))
    gate(sagemaker)
    parameters(sagemaker, MseThreshold=value)
    with pytest.raises(EvaluationError, match=r"threshold MseThreshold.*No model is accepted"):
        read_gate(client, ARN)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (None, "does not exist"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"", "is not JSON"),
        pytest.param(b"[" * 100_000, "is not JSON: it is nested too deeply", id="deep"),
        (
            b'{"regression_metrics": {"mse": {"value": 9.0, "value": 1.0}}}',
            "is not JSON: it has the key 'value' twice",
        ),
        ([], "nothing at"),
        ({"regression_metrics": {"mae": {"value": 1}}}, r"at regression_metrics there is \['mae'\]"),
        ({"regression_metrics": "4.9"}, "there is str"),
        (mse("4.9"), "expected a number"),
        (mse(True), "expected a number"),
        (mse(None), "expected a number"),
        (mse([4.9]), "expected a number"),
        (mse(float("nan")), "expected a finite number"),
        (mse(float("inf")), "expected a finite number"),
        (mse(float("-inf")), "expected a finite number"),
        (b'{"regression_metrics": {"mse": {"value": 1e999}}}', "expected a finite number"),
        (b'{"regression_metrics": {"mse": {"value": 1' + b"0" * 400 + b"}}}", "expected a finite number"),
    ],
)
def test_a_report_that_is_not_a_finite_number_at_the_path_accepts_nothing(
    client: SageMakerClient, report: Any, message: str
) -> None:
    if report is not None:
        store(client, report)
    with pytest.raises(EvaluationError, match=message) as caught:
        read_metric(client, URI, PATH)
    assert "No model is accepted" in str(caught.value)
    assert URI in str(caught.value)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("a.b-c.d_e", {"a": {"b-c": {"d_e": 1.5}}}),
        ("a[1].b", {"a": [0, {"b": 1.5}]}),
        ("a['b.c']", {"a": {"b.c": 1.5}}),
        ("[0]", [1.5]),
        ("$.a", {"a": 1.5}),
    ],
)
def test_the_forms_of_a_json_path_are_read(client: SageMakerClient, path: str, document: Any) -> None:
    store(client, document)
    assert read_metric(client, URI, path) == 1.5


@pytest.mark.parametrize(
    "index", ["\N{ARABIC-INDIC DIGIT ZERO}", "9" * 5000], ids=["another script", "too many digits"]
)
def test_an_index_is_written_in_ascii_digits_that_a_list_may_have(
    client: SageMakerClient, index: str
) -> None:
    store(client, [1.5])
    with pytest.raises(EvaluationError, match=r"not a path|nothing at"):
        read_metric(client, URI, f"[{index}]")


def test_an_infinite_threshold_of_the_definition_accepts_nothing(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    definition = gated_definition()
    definition["Steps"][1]["Arguments"]["Conditions"][0]["RightValue"] = float("inf")
    answer = {"PipelineDefinition": json.dumps(definition)}
    sagemaker.add_response("describe_pipeline_definition_for_execution", answer)
    with pytest.raises(DefinitionError, match="not JSON"):
        read_gate(client, ARN)


def test_a_path_of_another_language_is_refused(client: SageMakerClient) -> None:
    store(client, mse(1))
    with pytest.raises(EvaluationError, match="not a path"):
        read_metric(client, URI, "regression_metrics.*")


@pytest.mark.parametrize("key", ["CacheHitResult", "SelectiveExecutionResult"])
def test_the_job_of_a_step_that_was_taken_over_is_found_in_its_source(
    client: SageMakerClient, sagemaker: Stubber, key: str
) -> None:
    steps(sagemaker, ARN, {"StepName": "Evaluate", key: {"SourcePipelineExecutionArn": OTHER}})
    steps(sagemaker, OTHER, {"StepName": "Evaluate", "Metadata": {"ProcessingJob": {"Arn": JOB_ARN}}})
    assert resource_of_step(client, ARN, "Evaluate", "Processing") == JOB_ARN


def test_a_step_that_a_selective_execution_does_not_list_is_found_in_its_source(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    steps(sagemaker, ARN, {"StepName": "Gate"})
    sagemaker.add_response(
        "describe_pipeline_execution",
        {
            "SelectiveExecutionConfig": {
                "SourcePipelineExecutionArn": OTHER,
                "SelectedSteps": [{"StepName": "Gate"}],
            }
        },
    )
    steps(sagemaker, OTHER, {"StepName": "Evaluate", "Metadata": {"ProcessingJob": {"Arn": JOB_ARN}}})
    assert resource_of_step(client, ARN, "Evaluate", "Processing") == JOB_ARN


def test_executions_that_name_each_other_as_source_end_the_search(
    client: SageMakerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = [Step(name="Evaluate", status="Succeeded", is_cache_hit=True, source=ARN)]
    monkeypatch.setattr(client, "list_steps", lambda _: loop)
    assert resource_of_step(client, ARN, "Evaluate", "Processing") is None


def test_a_report_step_without_a_job_and_a_job_without_the_output_are_named(
    client: SageMakerClient, sagemaker: Stubber
) -> None:
    definition = {"PipelineDefinition": json.dumps(gated_definition())}
    sagemaker.add_response("describe_pipeline_definition_for_execution", definition)
    steps(sagemaker, ARN, {"StepName": "Evaluate"})
    with pytest.raises(EvaluationError, match=r"Evaluate.*ran no processing job"):
        read_gate(client, ARN)
    sagemaker.add_response("describe_pipeline_definition_for_execution", definition)
    steps(sagemaker, ARN, {"StepName": "Evaluate", "Metadata": {"ProcessingJob": {"Arn": JOB_ARN}}})
    job(sagemaker, output="metrics")
    with pytest.raises(EvaluationError, match=r"\['metrics'\]; expected 'evaluation'"):
        read_gate(client, ARN)


def training_gate(stubber: Stubber, *metrics: tuple[str, float], job: bool = True) -> None:
    """Answer a definition whose gate reads a training job, and the job with these metrics."""
    definition = gated_definition()
    definition["Steps"][0] = {"Name": "Train", "Type": "Training", "Arguments": {}}
    metric = {"Get": "Steps.Train.FinalMetricDataList['validation:rmse'].Value"}
    definition["Steps"][1]["Arguments"]["Conditions"][0]["LeftValue"] = metric
    stubber.add_response(
        "describe_pipeline_definition_for_execution", {"PipelineDefinition": json.dumps(definition)}
    )
    steps(
        stubber, ARN, {"StepName": "Train", "Metadata": {"TrainingJob": {"Arn": TRAINING_ARN}} if job else {}}
    )
    if job:
        stubber.add_response(
            "describe_training_job",
            {
                "TrainingJobName": "job-1",
                "TrainingJobArn": TRAINING_ARN,
                "ModelArtifacts": {"S3ModelArtifacts": "s3://b/model.tar.gz"},
                "TrainingJobStatus": "Completed",
                "SecondaryStatus": "Completed",
                "CreationTime": 0,
                "StoppingCondition": {},
                "AlgorithmSpecification": {"TrainingInputMode": "File"},
                "ResourceConfig": {"VolumeSizeInGB": 1},
                "FinalMetricDataList": [
                    {"MetricName": name, "Value": value, "Timestamp": 0} for name, value in metrics
                ],
            },
            {"TrainingJobName": "job-1"},
        )


def test_the_metric_of_a_training_job_is_compared(client: SageMakerClient, sagemaker: Stubber) -> None:
    training_gate(sagemaker, ("train:rmse", 1.0), ("validation:rmse", 6.5))
    parameters(sagemaker)
    assert read_gate(client, ARN).as_dict() == {
        "metric": "validation:rmse",
        "value": 6.5,
        "threshold": 6.0,
        "operator": "LessThanOrEqualTo",
        "passed": False,
        "report_uri": TRAINING_ARN,
    }


@pytest.mark.parametrize(
    ("metrics", "job", "message"),
    [
        ([("train:rmse", 1.0)], True, r"has the metrics \['train:rmse'\]; expected 'validation:rmse'"),
        ([("validation:rmse", float("nan"))], True, "is nan; expected a finite number"),
        ([], False, "Train.*ran no training job"),
    ],
)
def test_a_training_metric_that_is_not_there_accepts_nothing(
    client: SageMakerClient, sagemaker: Stubber, metrics: Any, job: bool, message: str
) -> None:
    training_gate(sagemaker, *metrics, job=job)
    with pytest.raises(EvaluationError, match=message):
        read_gate(client, ARN)


def test_a_definition_without_a_gate_is_an_error(client: SageMakerClient, sagemaker: Stubber) -> None:
    definition = gated_definition()
    del definition["Steps"][1]
    sagemaker.add_response(
        "describe_pipeline_definition_for_execution", {"PipelineDefinition": json.dumps(definition)}
    )
    with pytest.raises(GateError):
        read_gate(client, ARN)
