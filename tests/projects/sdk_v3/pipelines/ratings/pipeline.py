"""Tune two networks, register one of them with inference code, and check the data for bias and drift."""

from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.clarify import BiasConfig, DataConfig
from sagemaker.core.model_monitor import DatasetFormat
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
from sagemaker.mlops.workflow.clarify_check_step import ClarifyCheckStep, DataBiasCheckConfig
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep
from sagemaker.mlops.workflow.steps import TuningStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.tuner import HyperparameterTuner

SOURCE = str(Path(__file__).parent / "src")
DATA = "s3://ratings-of-the-team/data"


def image(scope, region):
    return image_uris.retrieve(
        "pytorch",
        region,
        version="2.0",
        py_version="py310",
        instance_type="ml.m5.xlarge",
        image_scope=scope,
    )


def tuning_step(name, session, role, region, metric):
    trainer = ModelTrainer(
        training_image=image("training", region),
        role=role,
        source_code=SourceCode(source_dir=SOURCE, entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=30),
        hyperparameters={"metric": metric},
        sagemaker_session=session,
    )
    tuner = HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name=metric,
        hyperparameter_ranges={"rate": ContinuousParameter(0.1, 0.5)},
        metric_definitions=[{"Name": metric, "Regex": f"{metric}=(.*)"}],
        max_jobs=2,
        max_parallel_jobs=1,
    )
    return TuningStep(name, step_args=tuner.tune(inputs=[InputData(channel_name="train", data_source=DATA)]))


def get_pipeline(region, role, default_bucket, pipeline_name="Ratings"):
    session = PipelineSession(default_bucket=default_bucket)
    tuned = [tuning_step(f"Tune{metric}", session, role, region, metric) for metric in ("recall", "auc")]
    builder = ModelBuilder(
        image_uri=image("inference", region),
        s3_model_data_url=tuned[0].get_top_model_s3_uri(top_k=0, s3_bucket=default_bucket),
        source_code=SourceCode(source_dir=SOURCE, entry_script="inference.py"),
        role_arn=role,
        sagemaker_session=session,
    )
    register = ModelStep("Register", step_args=builder.register(model_package_group_name="ratings"))
    bias = ClarifyCheckStep(
        "Bias",
        clarify_check_config=DataBiasCheckConfig(
            data_config=DataConfig(
                s3_data_input_path=DATA,
                s3_output_path="s3://ratings-of-the-team/bias",
                label=0,
                dataset_type="text/csv",
            ),
            data_bias_config=BiasConfig(label_values_or_threshold=[1], facet_name="age"),
        ),
        check_job_config=CheckJobConfig(role=role, sagemaker_session=session),
    )
    # The SDK uploads the data set, and names the output after the time of day.
    drift = QualityCheckStep(
        "Drift",
        quality_check_config=DataQualityCheckConfig(
            baseline_dataset=str(Path(__file__).parent / "baseline.csv"),
            dataset_format=DatasetFormat.csv(),
        ),
        check_job_config=CheckJobConfig(role=role, sagemaker_session=session),
        model_package_group_name="ratings",
    )
    return Pipeline(pipeline_name, steps=[*tuned, register, bias, drift], sagemaker_session=session)
