"""A pipeline as public projects write it with the SageMaker Python SDK v2; its definition is churn.json.

SDK v2 and Airflow cannot be in one environment, so this file runs in its own::

    python -m venv v2 && v2/bin/pip install 'sagemaker<3' 'moto[s3,sts]'
    v2/bin/python pipeline.py
"""

# mypy: ignore-errors
# ruff: noqa: TID253
from __future__ import annotations

import os
from pathlib import Path

import boto3
import sagemaker
from moto import mock_aws
from sagemaker.estimator import Estimator
from sagemaker.inputs import CreateModelInput, TrainingInput, TransformInput
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.transformer import Transformer
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.step_collections import RegisterModel
from sagemaker.workflow.steps import CacheConfig, CreateModelStep, ProcessingStep, TrainingStep, TransformStep

REGION, ACCOUNT = "eu-west-1", "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonSageMaker-ExecutionRole-20240102T030405"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"


def build(session: sagemaker.Session) -> Pipeline:
    """Return the pipeline: prepare, train, evaluate, and register what is good enough."""
    input_data = ParameterString("InputData", default_value=f"s3://{BUCKET}/churn/data/customers.csv")
    batch_data = ParameterString("BatchData", default_value=f"s3://{BUCKET}/churn/data/batch.csv")
    instance_count = ParameterInteger("ProcessingInstanceCount", default_value=1)
    instance_type = ParameterString("TrainingInstanceType", default_value="ml.m5.xlarge")
    approval = ParameterString("ModelApprovalStatus", default_value="PendingManualApproval")
    threshold = ParameterFloat("AucThreshold", default_value=0.75)
    cache = CacheConfig(enable_caching=True, expire_after="30d")

    processor = SKLearnProcessor(
        framework_version="1.2-1",
        role=ROLE,
        instance_type="ml.m5.xlarge",
        instance_count=instance_count,
        base_job_name="churn-preprocess",
        sagemaker_session=session,
    )
    prepare = ProcessingStep(
        "PreprocessChurn",
        processor=processor,
        inputs=[ProcessingInput(source=input_data, destination="/opt/ml/processing/input")],
        outputs=[
            ProcessingOutput(output_name=name, source=f"/opt/ml/processing/{name}")
            for name in ("train", "validation", "test")
        ],
        code="code/preprocess.py",
        job_arguments=["--seed", "7"],
        cache_config=cache,
    )

    image = sagemaker.image_uris.retrieve("xgboost", REGION, version="1.7-1", instance_type="ml.m5.xlarge")
    estimator = Estimator(
        image_uri=image,
        role=ROLE,
        instance_type=instance_type,
        instance_count=1,
        output_path=f"s3://{BUCKET}/churn/models",
        sagemaker_session=session,
    )
    estimator.set_hyperparameters(objective="binary:logistic", num_round=40, max_depth=4, eta=0.2, seed=7)
    outputs = prepare.properties.ProcessingOutputConfig.Outputs
    train = TrainingStep(
        "TrainChurn",
        estimator=estimator,
        inputs={
            name: TrainingInput(outputs[name].S3Output.S3Uri, content_type="text/csv")
            for name in ("train", "validation")
        },
        cache_config=cache,
    )

    report = PropertyFile(name="EvaluationReport", output_name="evaluation", path="evaluation.json")
    evaluator = ScriptProcessor(
        image_uri=image,
        command=["python3"],
        role=ROLE,
        instance_type="ml.m5.xlarge",
        instance_count=1,
        base_job_name="churn-evaluate",
        sagemaker_session=session,
    )
    artifact = train.properties.ModelArtifacts.S3ModelArtifacts
    evaluate = ProcessingStep(
        "EvaluateChurn",
        processor=evaluator,
        inputs=[
            ProcessingInput(source=artifact, destination="/opt/ml/processing/model"),
            ProcessingInput(source=outputs["test"].S3Output.S3Uri, destination="/opt/ml/processing/test"),
        ],
        outputs=[ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/evaluation")],
        code="code/evaluate.py",
        property_files=[report],
    )

    metrics = ModelMetrics(
        model_statistics=MetricsSource(
            s3_uri=Join(
                on="/",
                values=[
                    evaluate.arguments["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"],
                    "evaluation.json",
                ],
            ),
            content_type="application/json",
        )
    )
    register = RegisterModel(
        "RegisterChurn",
        estimator=estimator,
        model_data=artifact,
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.t2.medium", "ml.m5.xlarge"],
        transform_instances=["ml.m5.xlarge"],
        model_package_group_name="ChurnModelPackageGroup",
        approval_status=approval,
        model_metrics=metrics,
    )
    create = CreateModelStep(
        "CreateChurnModel",
        model=Model(image_uri=image, model_data=artifact, role=ROLE, sagemaker_session=session),
        inputs=CreateModelInput(instance_type="ml.m5.large"),
    )
    transform = TransformStep(
        "ScoreChurn",
        transformer=Transformer(
            model_name=create.properties.ModelName,
            instance_count=1,
            instance_type="ml.m5.xlarge",
            output_path=f"s3://{BUCKET}/churn/scores",
            accept="text/csv",
            sagemaker_session=session,
        ),
        inputs=TransformInput(data=batch_data, content_type="text/csv", split_type="Line"),
    )
    reject = FailStep("RejectChurn", error_message=Join(on=" ", values=["AUC is below", threshold]))
    gate = ConditionStep(
        "CheckAuc",
        conditions=[
            ConditionGreaterThanOrEqualTo(
                left=JsonGet(
                    step_name=evaluate.name,
                    property_file=report,
                    json_path="binary_classification_metrics.auc.value",
                ),
                right=threshold,
            )
        ],
        if_steps=[register, create, transform],
        else_steps=[reject],
    )
    return Pipeline(
        name="churn",
        parameters=[input_data, batch_data, instance_count, instance_type, approval, threshold],
        steps=[prepare, train, evaluate, gate],
        sagemaker_session=session,
    )


@mock_aws
def main() -> None:
    """Write the definition; S3 is moto's, in this process, because the SDK uploads the scripts."""
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION=REGION)
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    session = sagemaker.Session(boto3.Session(region_name=REGION), default_bucket=BUCKET)
    Path(__file__).with_name("churn.json").write_text(build(session).definition())


if __name__ == "__main__":
    main()
