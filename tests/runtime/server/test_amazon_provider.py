"""The Amazon provider's own operators, sensors and hook work on the runtime."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sagemaker_local_runtime.settings import Settings
from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.endpoints import ask, create_model
from tests.runtime.functions import archive
from tests.waiting import until

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"
TRAINING_ROWS = "".join(f"{x * 2},{x},{x % 3}\n" for x in range(60)).encode()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    runtime = LocalRuntime(Settings(data_dir=tmp_path_factory.mktemp("provider") / "runtime", port=0))
    patch = pytest.MonkeyPatch()
    # Parts of the provider make their own clients, which know the environment and not the connection.
    for name, value in runtime.environment.items():
        patch.setenv(name, value)
    patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    yield runtime
    patch.undo()
    runtime.close()


@pytest.fixture(scope="module")
def trained(runtime: LocalRuntime) -> str:
    """A training job that the provider's operator ran; the URI of its model."""
    from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerTrainingSensor

    uri = runtime.put("data/train.csv", TRAINING_ROWS)
    config = {
        "TrainingJobName": "provider-training",
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": "SageMakerExecutionRole",
        "HyperParameters": {"objective": "reg:squarederror", "num_round": "5"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{runtime.bucket}/models"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    result = SageMakerTrainingOperator(
        task_id="train", config=config, check_interval=1, print_log=False
    ).execute({})
    name = result["Training"]["TrainingJobName"]
    sensor: Any = SageMakerTrainingSensor  # untyped
    assert sensor(task_id="wait", job_name=name, print_log=False).poke({}) is True
    description = runtime.client("sagemaker").describe_training_job(TrainingJobName=name)
    return str(description["ModelArtifacts"]["S3ModelArtifacts"])


def test_the_processing_operator_runs_a_job_and_reads_its_report(runtime: LocalRuntime) -> None:
    from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerProcessingSensor

    output = {
        "OutputName": "report",
        "S3Output": {
            "S3Uri": f"s3://{runtime.bucket}/report",
            "LocalPath": "/opt/ml/processing/report",
            "S3UploadMode": "EndOfJob",
        },
    }
    code = "import json; json.dump({'mse': 4.5}, open('/opt/ml/processing/report/m.json', 'w'))"
    config = {
        "ProcessingJobName": "provider-processing",
        "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", "-c", code]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": "1", "InstanceType": "ml.m5.large", "VolumeSizeInGB": "1"}
        },
        "ProcessingOutputConfig": {"Outputs": [output]},
        "RoleArn": "SageMakerExecutionRole",
    }
    result = SageMakerProcessingOperator(
        task_id="process",
        config=config,
        check_interval=1,
        output_files_to_xcom=[{"output_name": "report", "file_name": "m.json", "result_name": "Report"}],
    ).execute({})
    assert result["OutputFiles"]["Report"] == {"mse": 4.5}
    name = result["Processing"]["ProcessingJobName"]
    assert SageMakerProcessingSensor(task_id="wait", job_name=name).poke({}) is True


def test_the_lambda_operators_create_and_invoke_a_function(runtime: LocalRuntime) -> None:
    from airflow.providers.amazon.aws.operators.lambda_function import (
        LambdaCreateFunctionOperator,
        LambdaInvokeFunctionOperator,
    )

    source = "def run(event, context):\n    return 1 / event['by']\n"
    arn = LambdaCreateFunctionOperator(
        task_id="create",
        function_name="divide",
        runtime="python3.12",
        role="arn:aws:iam::123456789012:role/lambda",
        handler="handler.run",
        code={"ZipFile": archive(source)},
    ).execute({})
    assert arn == "arn:aws:lambda:us-east-1:123456789012:function:divide"
    invoke: Any = LambdaInvokeFunctionOperator  # untyped
    assert invoke(task_id="invoke", function_name="divide", payload='{"by": 4}').execute({}) == "0.25"
    with pytest.raises(Exception, match="ZeroDivisionError"):
        invoke(task_id="fail", function_name="divide", payload='{"by": 0}').execute({})


@pytest.mark.thorough
@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_the_tuning_operator_finds_the_best_training_job(runtime: LocalRuntime, strategy: str) -> None:
    from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTuningOperator
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerTuningSensor

    name = f"provider-{strategy.lower()}"
    uri = runtime.put("tuning/train.csv", TRAINING_ROWS)
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    depth = {"Name": "max_depth", "MinValue": "1", "MaxValue": "4", "ScalingType": "Linear"}
    config = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "RandomSeed": 1,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:rmse"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": "3", "MaxParallelTrainingJobs": "3"},
            "ParameterRanges": {"IntegerParameterRanges": [depth]},
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"objective": "reg:squarederror", "num_round": "5"},
            "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            "RoleArn": "SageMakerExecutionRole",
            "InputDataConfig": [
                {
                    "ChannelName": channel,
                    "ContentType": "text/csv",
                    "DataSource": {"S3DataSource": dict(source)},
                }
                for channel in ("train", "validation")
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{runtime.bucket}/tuned"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    }
    result = SageMakerTuningOperator(task_id="tune", config=config, check_interval=1).execute({})["Tuning"]
    assert result["TrainingJobStatusCounters"]["Completed"] == 3
    best = result["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] > 0
    assert (
        len(runtime.get(f"s3://{runtime.bucket}/tuned/{best['TrainingJobName']}/output/model.tar.gz")) > 100
    )
    assert SageMakerTuningSensor(task_id="wait", job_name=name).poke({}) is True


def test_the_training_operator_leaves_a_model(runtime: LocalRuntime, trained: str) -> None:
    assert trained.endswith("/output/model.tar.gz")
    assert len(runtime.get(trained)) > 100


def test_the_model_and_transform_operators_score_a_file(runtime: LocalRuntime, trained: str) -> None:
    from airflow.providers.amazon.aws.operators.sagemaker import (
        SageMakerDeleteModelOperator,
        SageMakerModelOperator,
        SageMakerTransformOperator,
    )
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerTransformSensor

    model = {
        "ModelName": "provider-model",
        "ExecutionRoleArn": "SageMakerExecutionRole",
        "PrimaryContainer": {"Image": XGBOOST, "ModelDataUrl": trained},
    }
    SageMakerModelOperator(task_id="model", config=model).execute({})
    transform = {
        "TransformJobName": "provider-transform",
        "ModelName": "provider-model",
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": runtime.put("rows.csv", b"1,1\n2,2\n")}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://{runtime.bucket}/scores", "AssembleWith": "Line"},
        "TransformResources": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
    }
    SageMakerTransformOperator(task_id="transform", config=transform, check_interval=1).execute({})
    assert SageMakerTransformSensor(task_id="wait", job_name="provider-transform").poke({}) is True
    scores = runtime.get(f"s3://{runtime.bucket}/scores/rows.csv.out").decode().split()
    assert len([float(score) for score in scores]) == 2
    SageMakerDeleteModelOperator(task_id="delete", config={"ModelName": "provider-model"}).execute({})
    assert runtime.client("sagemaker").list_models()["Models"] == []


def test_the_register_operator_makes_group_and_version(runtime: LocalRuntime, trained: str) -> None:
    from airflow.providers.amazon.aws.operators.sagemaker import SageMakerRegisterModelVersionOperator

    arns = [
        SageMakerRegisterModelVersionOperator(
            task_id="register", image_uri=XGBOOST, model_url=trained, package_group_name="provider-group"
        ).execute({})
        for _ in range(2)
    ]
    assert [arn.rpartition("/")[2] for arn in arns] == ["1", "2"]


def test_the_pipeline_operators_and_sensor_start_and_stop(runtime: LocalRuntime) -> None:
    from airflow.providers.amazon.aws.operators.sagemaker import (
        SageMakerStartPipelineOperator,
        SageMakerStopPipelineOperator,
    )
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerPipelineSensor

    runtime.create_pipeline(sleeping("import time; time.sleep(0.2)"), "provider-quick")
    arn = SageMakerStartPipelineOperator(
        task_id="start",
        pipeline_name="provider-quick",
        pipeline_params={"Any": "x"},
        wait_for_completion=True,
        check_interval=1,
    ).execute({})
    assert SageMakerPipelineSensor(task_id="wait", pipeline_exec_arn=arn).poke({}) is True

    runtime.create_pipeline(sleeping("import time; time.sleep(3600)"), "provider-slow")
    arn = SageMakerStartPipelineOperator(task_id="start", pipeline_name="provider-slow").execute({})
    status = SageMakerStopPipelineOperator(
        task_id="stop", pipeline_exec_arn=arn, wait_for_completion=True, check_interval=1
    ).execute({})
    assert status == "Stopped"


def sleeping(code: str) -> dict[str, Any]:
    arguments = {
        "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", "-c", code]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerExecutionRole",
    }
    return {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "Any", "Type": "String", "DefaultValue": ""}],
        "Steps": [{"Name": "Work", "Type": "Processing", "Arguments": arguments}],
    }


def test_experiments_are_created(runtime: LocalRuntime) -> None:
    from airflow.providers.amazon.aws.operators.sagemaker import SageMakerCreateExperimentOperator

    arn = SageMakerCreateExperimentOperator(task_id="create", name="provider-experiment").execute({})
    assert arn.endswith(":experiment/provider-experiment")


def conditions(count: int) -> dict[str, Any]:
    """Return a step of conditions, each the only step of the one around it."""
    condition = {"Type": "LessThanOrEqualTo", "LeftValue": 3.0, "RightValue": 6.0}
    step: dict[str, Any] = {}
    for number in range(count):
        arguments = {"Conditions": [condition], "IfSteps": [step] if step else [], "ElseSteps": []}
        step = {"Name": f"Check{number}", "Type": "Condition", "Arguments": arguments}
    return step


def test_a_pipeline_with_an_experiment_runs_and_is_torn_down(runtime: LocalRuntime) -> None:
    """The order of calls is that of the provider's system test of pipelines, with its teardown."""
    from airflow.providers.amazon.aws.operators.sagemaker import (
        SageMakerStartPipelineOperator,
        SageMakerStopPipelineOperator,
    )
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerPipelineSensor

    sagemaker, name = runtime.client("sagemaker"), "provider-pipeline"
    experiment = {
        "ExperimentName": {"Get": "Execution.PipelineName"},
        "TrialName": {"Get": "Execution.PipelineExecutionId"},
    }
    quick = sleeping("pass")["Steps"]
    document = {"Version": "2020-12-01", "Metadata": {}, "PipelineExperimentConfig": experiment}
    runtime.create_pipeline({**document, "Steps": [*quick, conditions(30)]}, name)

    first = SageMakerStartPipelineOperator(task_id="start1", pipeline_name=name).execute({})
    second = SageMakerStartPipelineOperator(task_id="start2", pipeline_name=name).execute({})
    SageMakerStopPipelineOperator(task_id="stop1", pipeline_exec_arn=first).execute({})
    sensor: Any = SageMakerPipelineSensor(task_id="await2", pipeline_exec_arn=second)
    assert until(lambda: sensor.poke({}), "the second execution")

    runtime.wait(first)
    sagemaker.delete_pipeline(PipelineName=name, ClientRequestToken="t" * 36)
    trials = [trial["TrialName"] for trial in sagemaker.list_trials(ExperimentName=name)["TrialSummaries"]]
    assert {arn.rpartition("/")[2] for arn in (first, second)} == set(trials)
    deleted = 0
    for trial in trials:
        for summary in sagemaker.list_trial_components(TrialName=trial)["TrialComponentSummaries"]:
            component = summary["TrialComponentName"]
            sagemaker.disassociate_trial_component(TrialComponentName=component, TrialName=trial)
            sagemaker.delete_trial_component(TrialComponentName=component)
            deleted += 1
        sagemaker.delete_trial(TrialName=trial)
    assert deleted >= 1, "at least the job of the execution that nobody stopped"
    sagemaker.delete_experiment(ExperimentName=name)
    assert name not in {
        found["ExperimentName"] for found in sagemaker.list_experiments()["ExperimentSummaries"]
    }


@pytest.mark.thorough
def test_the_endpoint_operators_create_update_and_wait(runtime: LocalRuntime) -> None:
    from airflow.providers.amazon.aws.operators.sagemaker import (
        SageMakerEndpointConfigOperator,
        SageMakerEndpointOperator,
    )
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerEndpointSensor
    from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger
    from airflow.sdk.exceptions import TaskDeferred

    def configure(name: str) -> dict[str, Any]:
        variant = {
            "VariantName": "all",
            "ModelName": create_model(runtime, name),
            "InitialInstanceCount": "1",
            "InstanceType": "ml.m5.large",
        }
        config = {"EndpointConfigName": name, "ProductionVariants": [variant]}
        created = SageMakerEndpointConfigOperator(task_id="config", config=config).execute({})
        assert created["EndpointConfig"]["ProductionVariants"][0]["InitialInstanceCount"] == 1
        return {"EndpointName": "provider", "EndpointConfigName": name}

    created = SageMakerEndpointOperator(task_id="create", config=configure("one"), check_interval=1).execute(
        {}
    )
    assert created["Endpoint"]["EndpointStatus"] == "InService"
    assert ask(runtime, "provider") == "one text/csv x"
    # It exists, so the operator updates it.
    waiting = SageMakerEndpointOperator(
        task_id="again", config=configure("two"), check_interval=1, deferrable=True
    )
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, SageMakerTrigger)

    async def event() -> dict[str, Any]:
        return dict((await anext(trigger.run())).payload)

    payload = asyncio.run(event())
    assert (payload["status"], payload["job_name"]) == ("success", "provider")
    assert waiting.execute_complete({}, payload)["Endpoint"]["EndpointConfigName"] == "two"
    sensor: Any = SageMakerEndpointSensor  # it has no types
    assert sensor(task_id="wait", endpoint_name="provider").poke({}) is True
    assert ask(runtime, "provider") == "two text/csv x"

    # The other tests share the runtime.
    sagemaker = runtime.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName="provider")
    for name in ("one", "two"):
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
        sagemaker.delete_model(ModelName=name)
