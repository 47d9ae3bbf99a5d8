"""What a public notebook does with SDK v2, as a program: it knows nothing of the local runtime.

``test_client_environment.py`` runs it in an environment of its own. The last line is JSON.
"""

# ruff: noqa: TID253 - it is about the SDK

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import boto3
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.lineage.visualizer import LineageTableVisualizer
from sagemaker.model import Model
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

session, pipeline_session = sagemaker.Session(), PipelineSession()
role, bucket, region = sagemaker.get_execution_role(), session.default_bucket(), session.boto_region_name

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
(folder / "rows.csv").write_text("".join(f"{2 * x},{x},{x % 3}\n" for x in range(60)))
(folder / "prepare.py").write_text(
    "import shutil\nshutil.copy('/opt/ml/processing/input/rows.csv', '/opt/ml/processing/train/train.csv')\n"
)
input_data = ParameterString(
    name="InputData", default_value=session.upload_data(str(folder / "rows.csv"), key_prefix="notebook/data")
)
limit = ParameterFloat(name="Limit", default_value=6.0)

processor = SKLearnProcessor(
    framework_version="1.2-1",
    role=role,
    instance_type="ml.m5.xlarge",
    instance_count=1,
    base_job_name="prepare",
    sagemaker_session=pipeline_session,
)
prepare = ProcessingStep(
    name="Prepare",
    step_args=processor.run(
        code=str(folder / "prepare.py"),
        inputs=[ProcessingInput(source=input_data, destination="/opt/ml/processing/input")],
        outputs=[ProcessingOutput(output_name="train", source="/opt/ml/processing/train")],
    ),
)
image = sagemaker.image_uris.retrieve("xgboost", region, version="1.7-1", instance_type="ml.m5.xlarge")
estimator = Estimator(
    image_uri=image,
    role=role,
    instance_type="ml.m5.xlarge",
    instance_count=1,
    output_path=f"s3://{bucket}/notebook/models",
    hyperparameters={"objective": "reg:squarederror", "num_round": 5},
    sagemaker_session=pipeline_session,
)
made = prepare.properties.ProcessingOutputConfig.Outputs["train"].S3Output.S3Uri
train = TrainingStep(
    name="Train", step_args=estimator.fit({"train": TrainingInput(made, content_type="text/csv")})
)
model = Model(
    image_uri=image,
    model_data=train.properties.ModelArtifacts.S3ModelArtifacts,
    role=role,
    sagemaker_session=pipeline_session,
)
register = ModelStep(
    name="Notebook",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.xlarge"],
        transform_instances=["ml.m5.xlarge"],
        model_package_group_name="notebook",
        approval_status="PendingManualApproval",
    ),
)
check = ConditionStep(
    name="Check",
    conditions=[ConditionLessThanOrEqualTo(left=1.0, right=limit)],
    if_steps=[register],
    else_steps=[],
)
pipeline = Pipeline(
    name="notebook",
    parameters=[input_data, limit],
    steps=[prepare, train, check],
    sagemaker_session=pipeline_session,
)
pipeline.upsert(role_arn=role)
execution = pipeline.start(parameters={"Limit": 5.0})
execution.wait(delay=1, max_attempts=300)
steps = execution.list_steps()

visualizer = LineageTableVisualizer(session)
lineage = {step["StepName"]: visualizer.show(pipeline_execution_step=step) for step in reversed(steps)}
client = boto3.client("sagemaker")
(package,) = client.list_model_packages(ModelPackageGroupName="notebook")["ModelPackageSummaryList"]
found = client.search(
    Resource="TrainingJob",
    SearchExpression={"Filters": [{"Name": "TrainingJobStatus", "Operator": "Equals", "Value": "Completed"}]},
)
print(
    json.dumps(
        {
            "status": execution.describe()["PipelineExecutionStatus"],
            "steps": {step["StepName"]: step["StepStatus"] for step in steps},
            "lineage": {
                name: None if table is None else sorted(set(table["Type"])) for name, table in lineage.items()
            },
            "package": package["ModelPackageArn"],
            "trained": len(found["Results"]),
        }
    )
)
