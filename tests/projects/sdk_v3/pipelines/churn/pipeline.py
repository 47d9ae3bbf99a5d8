"""Predict which customers leave, in one script with version 3 of the SDK, as it is run from a notebook."""

from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.processing import FrameworkProcessor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterFloat
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode

HERE = Path(__file__).parent
session = PipelineSession()
role = get_execution_role()
bucket = session.default_bucket()
image = image_uris.retrieve(
    "sklearn", session.boto_region_name, version="1.9-0", instance_type="ml.m5.xlarge"
)

test_share = ParameterFloat("TestShare", default_value=0.25)


def executed(name):
    return Join(on="/", values=[f"s3://{bucket}/churn", ExecutionVariables.PIPELINE_EXECUTION_ID, name])


processor = FrameworkProcessor(
    image_uri=image,
    role=role,
    command=["python3"],
    instance_count=1,
    instance_type="ml.m5.xlarge",
    sagemaker_session=session,
)
prepare = ProcessingStep(
    "Prepare",
    step_args=processor.run(
        code="prepare.py",
        source_dir=str(HERE / "src"),
        requirements="requirements.txt",
        arguments=["--test-share", test_share.to_string()],
        inputs=[
            ProcessingInput(
                input_name="customers",
                s3_input=ProcessingS3Input(
                    s3_uri=str(HERE / "data"),
                    local_path="/opt/ml/processing/input/customers",
                    s3_data_type="S3Prefix",
                    s3_input_mode="File",
                ),
            )
        ],
        outputs=[
            ProcessingOutput(
                output_name=name,
                s3_output=ProcessingS3Output(
                    s3_uri=executed(name),
                    local_path=f"/opt/ml/processing/output/{name}",
                    s3_upload_mode="EndOfJob",
                ),
            )
            for name in ("train", "test")
        ],
    ),
)

trainer = ModelTrainer(
    training_image=image,
    role=role,
    source_code=SourceCode(
        source_dir=str(HERE / "src"), entry_script="train.py", requirements="requirements.txt"
    ),
    compute=Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=30),
    hyperparameters={"iterations": 200},
    output_data_config=OutputDataConfig(s3_output_path=executed("model")),
    sagemaker_session=session,
)
outputs = prepare.properties.ProcessingOutputConfig.Outputs
train = TrainingStep(
    "Train",
    step_args=trainer.train(
        input_data_config=[
            InputData(channel_name=name, data_source=outputs[name].S3Output.S3Uri)
            for name in ("train", "test")
        ]
    ),
)

pipeline = Pipeline("Churn", parameters=[test_share], steps=[prepare, train], sagemaker_session=session)

if __name__ == "__main__":
    pipeline.upsert(role)
    pipeline.start()
