"""Score a labelled holdout with a new model package and with the champion, and say which one is better.

Both models are created from their package's image and artifact, because a package that is not Approved cannot
be deployed as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

# ruff: noqa: TID253 - this module is SDK objects and nothing else
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.resources import Model
from sagemaker.core.shapes import ContainerDefinition
from sagemaker.core.transformer import Transformer
from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TransformStep
from sagemaker.serve.model_builder import ModelBuilder

from sagemaker_compile.images import image_uri
from sagemaker_compile.job_data import (
    MODULES_PATH,
    execution_uri,
    module_input,
    output_uri,
    s3_input,
    s3_output,
)
from sagemaker_compile.stand_ins import ROLE_ARN, artifact_uri, prefixed, scratch_folder

STEPS = Path(__file__).parent / "steps"
FEATURE_TRANSFORM = Path(__file__).parent.parent / "container" / "feature_transform.py"
INSTANCE_TYPE = "ml.m5.xlarge"
#: What ``compare.py`` can compute.
METRICS = ["accuracy", "auc", "f1", "log_loss", "mae", "mse", "precision", "r2", "recall", "rmse"]


@dataclass(frozen=True)
class Contender:
    """The parameters that describe one of the two model packages.

    :param name: ``Challenger`` or ``Champion``.
    """

    name: str

    @property
    def package_arn(self) -> ParameterString:
        """The package, for the report."""
        return ParameterString(f"{self.name}PackageArn")

    @property
    def image(self) -> ParameterString:
        """The URI of its image."""
        return ParameterString(f"{self.name}Image")

    @property
    def model_data(self) -> ParameterString:
        """The URI of its artifact."""
        return ParameterString(f"{self.name}ModelDataUrl")

    @property
    def transform(self) -> ParameterString:
        """The URI of its recorded transform; ``none`` if it records none."""
        return ParameterString(f"{self.name}Transform", default_value="none")

    @property
    def parameters(self) -> list[Any]:
        """All of them."""
        return [self.package_arn, self.image, self.model_data, self.transform]


CHALLENGER, CHAMPION = Contender("Challenger"), Contender("Champion")

holdout = ParameterString("Holdout")
metric = ParameterString("Metric", enum_values=METRICS)
larger_is_better = ParameterString("LargerIsBetter", enum_values=["true", "false"])
margin = ParameterFloat("Margin", default_value=0.0)
confidence = ParameterFloat("Confidence", default_value=0.95)
resamples = ParameterInteger("Resamples", default_value=1000)
seed = ParameterInteger("Seed", default_value=2026)
instance_type = ParameterString("InstanceType", default_value=INSTANCE_TYPE)


def build(session: PipelineSession) -> Pipeline:
    """Return the pipeline.

    :param session: the session that captures its steps.
    """
    prepare = prepare_step(session)
    steps: list[Any] = [prepare]
    scored = []
    for contender in (CHALLENGER, CHAMPION):
        create = create_model_step(session, contender)
        scored.append(transform_step(session, contender, prepare, create))
        steps += [create, scored[-1]]
    comparison = PropertyFile("Comparison", output_name="comparison", path="comparison.json")
    compare = compare_step(session, prepare, scored, comparison)
    return Pipeline(
        prefixed("comparison"),
        parameters=[
            *CHALLENGER.parameters,
            *CHAMPION.parameters,
            holdout,
            metric,
            larger_is_better,
            margin,
            confidence,
            resamples,
            seed,
            instance_type,
        ],
        steps=[*steps, compare, gate_step(compare, comparison)],
        sagemaker_session=session,
    )


def processor(session: PipelineSession) -> ScriptProcessor:
    """Return the processor that runs the scripts of this pipeline."""
    return ScriptProcessor(
        role=ROLE_ARN,
        image_uri=image_uri("sklearn"),
        command=["python3"],
        instance_count=1,
        instance_type=instance_type,
        env={"PYTHONPATH": MODULES_PATH},
        sagemaker_session=session,
    )


def executions_uri(*parts: str) -> Any:
    """Return a URI below the prefix of the running execution."""
    return execution_uri(artifact_uri("comparison", "executions"), *parts)


def prepare_step(session: PipelineSession) -> ProcessingStep:
    """Apply each package's transform to the holdout, and separate the labels."""
    return ProcessingStep(
        "ComparisonPrepare",
        step_args=processor(session).run(
            code=str(STEPS / "prepare.py"),
            arguments=[
                "--challenger-package-arn",
                CHALLENGER.package_arn,
                "--challenger-transform",
                CHALLENGER.transform,
                "--champion-transform",
                CHAMPION.transform,
            ],
            inputs=[s3_input("holdout", holdout), module_input(FEATURE_TRANSFORM)],
            outputs=[s3_output(name, executions_uri(name)) for name in ("challenger", "champion", "rows")],
        ),
    )


def create_model_step(session: PipelineSession, contender: Contender) -> ModelStep:
    """Create a model resource from the package's image and artifact."""
    container = ContainerDefinition(image=contender.image, model_data_url=contender.model_data)
    builder = ModelBuilder(
        model=[Model(model_name=contender.name.lower(), containers=[container])],
        role_arn=ROLE_ARN,
        model_path=scratch_folder(),
        sagemaker_session=session,
    )
    return ModelStep(f"ComparisonCreate{contender.name}", step_args=builder.build())


def transform_step(
    session: PipelineSession, contender: Contender, prepare: ProcessingStep, create: ModelStep
) -> TransformStep:
    """Predict one line for each row."""
    transformer = Transformer(
        model_name=create.properties.ModelName,
        instance_count=1,
        instance_type=instance_type,
        strategy="MultiRecord",
        assemble_with="Line",
        accept="text/csv",
        output_path=executions_uri("predictions", contender.name.lower()),
        sagemaker_session=session,
    )
    return TransformStep(
        f"ComparisonScore{contender.name}",
        step_args=transformer.transform(
            data=output_uri(prepare, contender.name.lower()), content_type="text/csv", split_type="Line"
        ),
    )


def compare_step(
    session: PipelineSession,
    prepare: ProcessingStep,
    scored: list[TransformStep],
    comparison: PropertyFile,
) -> ProcessingStep:
    """Compare both metrics on the same rows."""
    arguments = {
        "--challenger-package-arn": CHALLENGER.package_arn,
        "--champion-package-arn": CHAMPION.package_arn,
        "--metric": metric,
        "--larger-is-better": larger_is_better,
        "--margin": margin.to_string(),
        "--confidence": confidence.to_string(),
        "--resamples": resamples.to_string(),
        "--seed": seed.to_string(),
    }
    predictions = [
        s3_input(name, step.properties.TransformOutput.S3OutputPath)
        for name, step in zip(("challenger", "champion"), scored, strict=True)
    ]
    return ProcessingStep(
        "ComparisonCompare",
        step_args=processor(session).run(
            code=str(STEPS / "compare.py"),
            arguments=[part for pair in arguments.items() for part in pair],
            inputs=[
                s3_input("rows", output_uri(prepare, "rows")),
                *predictions,
                module_input(FEATURE_TRANSFORM),
            ],
            outputs=[s3_output("comparison", executions_uri("comparison"))],
        ),
        property_files=[comparison],
    )


def gate_step(compare: ProcessingStep, comparison: PropertyFile) -> ConditionStep:
    """Let the challenger win, or fail with a message."""
    wins = JsonGet(step_name=compare.name, property_file=comparison, json_path="wins")
    return ConditionStep(
        "ComparisonWinsCond",
        conditions=[ConditionEquals(left=wins, right=1)],
        if_steps=[],
        else_steps=[
            FailStep(
                "ComparisonChampionStays",
                error_message=Join(
                    on="",
                    values=["The champion stays: see ", executions_uri("comparison"), "/comparison.json"],
                ),
            )
        ],
    )
