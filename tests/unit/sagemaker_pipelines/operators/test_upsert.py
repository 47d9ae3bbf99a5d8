"""The upsert operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.stub import Stubber

from sagemaker_pipelines.exceptions import DefinitionError
from sagemaker_pipelines.hooks.pipeline import SageMakerPipelineHook
from sagemaker_pipelines.operators.upsert import SageMakerUpsertPipelineOperator
from tests.unit.sagemaker_pipelines.samples import PIPELINE_ARN, TaskInstance


def upsert(hook: SageMakerPipelineHook, definition: Path, **arguments: Any) -> Any:
    task = SageMakerUpsertPipelineOperator(task_id="upsert_pipeline", definition=definition, **arguments)
    task.__dict__["hook"] = hook
    return task.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]


def test_the_upsert_returns_what_the_start_pins(
    hook: SageMakerPipelineHook, sagemaker: Stubber, envelope_path: Path
) -> None:
    sagemaker.add_client_error("list_pipeline_versions", "ResourceNotFound")
    sagemaker.add_client_error("describe_pipeline", "ResourceNotFound")
    created: dict[str, Any] = {}
    hook.client.sagemaker.meta.events.register(
        "before-parameter-build.sagemaker.CreatePipeline", lambda params, **_: created.update(params)
    )
    sagemaker.add_response("create_pipeline", {"PipelineArn": PIPELINE_ARN})
    sagemaker.add_response("list_pipeline_versions", {"PipelineVersionSummaries": [{"PipelineVersionId": 1}]})
    result = upsert(hook, envelope_path, description="Nightly.")
    assert result.pop("definition_hash")
    assert created["PipelineDescription"].startswith("Nightly. [environment:")
    assert result == {
        "pipeline_name": "dev-gated",
        "pipeline_arn": PIPELINE_ARN,
        "pipeline_version_id": 1,
        "changed": True,
        "created": True,
        "pinned": False,
    }


def test_a_pinned_version_is_returned_and_nothing_is_written(
    hook: SageMakerPipelineHook, sagemaker: Stubber, envelope_path: Path
) -> None:
    described = {"PipelineArn": PIPELINE_ARN, "PipelineDefinition": "{}"}
    sagemaker.add_response(
        "describe_pipeline", described, {"PipelineName": "dev-gated", "PipelineVersionId": 3}
    )
    result = upsert(hook, envelope_path, pipeline_version_id="3")
    assert (result["pipeline_version_id"], result["pinned"], result["changed"]) == (3, True, False)


@pytest.mark.parametrize("version", ["1_0", "\N{ARABIC-INDIC DIGIT SIX}", "newest", 2.5])
def test_a_version_that_is_not_a_whole_number_fails_before_any_call(
    hook: SageMakerPipelineHook, envelope_path: Path, version: Any
) -> None:
    with pytest.raises(AirflowFailException, match=r"pipeline_version_id is .*; expected a whole number"):
        upsert(hook, envelope_path, pipeline_version_id=version)


def test_a_pinned_version_that_is_missing_fails_and_names_the_newest(
    hook: SageMakerPipelineHook, sagemaker: Stubber, envelope_path: Path
) -> None:
    sagemaker.add_client_error("describe_pipeline", "ResourceNotFound")
    sagemaker.add_response("list_pipeline_versions", {"PipelineVersionSummaries": [{"PipelineVersionId": 2}]})
    with pytest.raises(AirflowFailException, match=r"Version 3 .*the newest is 2"):
        upsert(hook, envelope_path, pipeline_version_id=3)


def test_a_definition_that_cannot_be_read_fails_without_a_retry(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"missing\.json") as caught:
        upsert(SageMakerPipelineHook(aws_conn_id=None), tmp_path / "missing.json")
    assert isinstance(caught.value.__cause__, DefinitionError)


def test_the_upserts_definition_name_and_tags_are_templates() -> None:
    assert {"definition", "pipeline_name", "tags"} <= set(SageMakerUpsertPipelineOperator.template_fields)
