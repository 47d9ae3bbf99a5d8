"""Lineage: what a client records, and what jobs and model packages record themselves."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from sagemaker_local_runtime.testing import LocalRuntime
from tests.runtime.server.test_experiments import SKLEARN, definition, processing
from tests.runtime.server.test_models import IMAGE, specification


@pytest.fixture
def sagemaker(local_runtime: LocalRuntime) -> Any:
    return local_runtime.client("sagemaker")


def ends(sagemaker: Any, **request: str) -> set[tuple[str, str, str]]:
    """Return name or source, type and association of the other ends of an entity's associations."""
    other = "Source" if "DestinationArn" in request else "Destination"
    found = set()
    for association in sagemaker.list_associations(**request)["AssociationSummaries"]:
        name = association.get(f"{other}Name")
        if name is None:
            artifact = sagemaker.describe_artifact(ArtifactArn=association[f"{other}Arn"])
            name = artifact["Source"]["SourceUri"]
        found.add((name, association[f"{other}Type"], association["AssociationType"]))
    return found


def test_entities_are_created_changed_listed_and_deleted(sagemaker: Any) -> None:
    source = {"SourceUri": "s3://bucket/rows.csv"}
    artifact = sagemaker.create_artifact(
        ArtifactName="rows",
        ArtifactType="DataSet",
        Source=source,
        Properties={"rows": "10", "owner": "anna"},
        Tags=[{"Key": "team", "Value": "shells"}],
    )["ArtifactArn"]
    sagemaker.update_artifact(ArtifactArn=artifact, Properties={"rows": "12"}, PropertiesToRemove=["owner"])
    described = sagemaker.describe_artifact(ArtifactArn=artifact)
    assert (described["Source"]["SourceUri"], described["Properties"]) == (
        source["SourceUri"],
        {"rows": "12"},
    )
    assert sagemaker.list_tags(ResourceArn=artifact)["Tags"] == [{"Key": "team", "Value": "shells"}]
    sagemaker.create_action(ActionName="clean", ActionType="Cleaning", Source=source, Status="InProgress")
    sagemaker.update_action(ActionName="clean", Status="Completed")
    assert sagemaker.list_actions(ActionType="Cleaning")["ActionSummaries"][0]["Status"] == "Completed"
    sagemaker.create_context(ContextName="project", ContextType="Project", Source=source)
    assert sagemaker.list_contexts(SourceUri="s3://other")["ContextSummaries"] == []
    assert len(sagemaker.list_contexts(SourceUri=source["SourceUri"])["ContextSummaries"]) == 1
    assert sagemaker.delete_artifact(Source={**source, "SourceTypes": []})["ArtifactArn"] == artifact
    for call, request in (
        (sagemaker.describe_artifact, {"ArtifactArn": artifact}),
        (sagemaker.delete_action, {"ActionName": "none"}),
        (sagemaker.update_context, {"ContextName": "none"}),
    ):
        with pytest.raises(ClientError, match="does not exist") as missing:
            call(**request)
        assert missing.value.response["Error"]["Code"] == "ResourceNotFound"


def test_two_artifacts_may_have_one_source_but_names_are_unique(sagemaker: Any) -> None:
    request = {"ArtifactType": "DataSet", "Source": {"SourceUri": "s3://bucket/rows.csv"}}
    arns = {sagemaker.create_artifact(**request)["ArtifactArn"] for _ in range(3)}
    assert len(arns) == 3
    action = {"ActionName": "a", "ActionType": "t", "Source": {"SourceUri": "s3://bucket/rows.csv"}}
    sagemaker.create_action(**action)
    with pytest.raises(ClientError, match="names must be unique"):
        sagemaker.create_action(**action)


def test_associations_connect_entities_that_exist(sagemaker: Any) -> None:
    source = {"SourceUri": "s3://bucket/rows.csv"}
    artifact = sagemaker.create_artifact(ArtifactType="DataSet", Source=source)["ArtifactArn"]
    context = sagemaker.create_context(ContextName="c", ContextType="Project", Source=source)["ContextArn"]
    both = {"SourceArn": artifact, "DestinationArn": context}
    sagemaker.add_association(**both, AssociationType="AssociatedWith")
    (found,) = sagemaker.list_associations(SourceArn=artifact)["AssociationSummaries"]
    assert (found["DestinationName"], found["DestinationType"]) == ("c", "Project")
    assert sagemaker.list_associations(SourceArn=context)["AssociationSummaries"] == []
    assert len(sagemaker.list_associations(SourceType="DataSet")["AssociationSummaries"]) == 1
    with pytest.raises(ClientError, match="context/none' does not exist"):
        sagemaker.add_association(SourceArn=artifact, DestinationArn=context[:-1] + "none")
    sagemaker.delete_association(**both)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.delete_association(**both)
    sagemaker.add_association(**both)
    sagemaker.delete_context(ContextName="c")
    assert sagemaker.list_associations()["AssociationSummaries"] == []


def test_a_model_package_knows_its_model_image_approval_and_group(
    sagemaker: Any, local_runtime: LocalRuntime
) -> None:
    uri = local_runtime.put("model/model.tar.gz", b"model")
    sagemaker.create_model_package_group(ModelPackageGroupName="shells")
    arns = [
        sagemaker.create_model_package(
            ModelPackageGroupName="shells", InferenceSpecification=specification(uri)
        )["ModelPackageArn"]
        for _ in range(2)
    ]
    for version, arn in enumerate(arns, 1):
        (artifact,) = sagemaker.list_artifacts(SourceUri=arn)["ArtifactSummaries"]
        sources = ends(sagemaker, DestinationArn=artifact["ArtifactArn"])
        assert {(uri, "Model", "ContributedTo"), (IMAGE, "Image", "ContributedTo")} < sources
        (approval,) = (name for name, kind, _ in sources if kind == "Approval")
        assert approval.startswith(f"shells-{version}-PendingManualApproval-")
        assert ends(sagemaker, SourceArn=artifact["ArtifactArn"]) == {
            ("shells-aws-model-package-group", "ModelGroup", "AssociatedWith")
        }


def test_a_package_may_be_deleted_and_registered_again_within_a_second(
    sagemaker: Any, local_runtime: LocalRuntime
) -> None:
    uri = local_runtime.put("model/model.tar.gz", b"model")
    for _ in range(3):
        sagemaker.create_model_package_group(ModelPackageGroupName="abalone")
        arn = sagemaker.create_model_package(
            ModelPackageGroupName="abalone", InferenceSpecification=specification(uri)
        )["ModelPackageArn"]
        sagemaker.delete_model_package(ModelPackageName=arn)
        sagemaker.delete_model_package_group(ModelPackageGroupName="abalone")
    names = {action["ActionName"] for action in sagemaker.list_actions()["ActionSummaries"]}
    assert len(names) == 3


def test_a_jobs_inputs_and_outputs_are_associated_with_its_trial_component(
    sagemaker: Any, local_runtime: LocalRuntime
) -> None:
    rows = io.StringIO()
    np.savetxt(rows, np.arange(90).reshape(30, 3), delimiter=",")
    given = local_runtime.put("in/rows.csv", rows.getvalue().encode())
    made = f"s3://{local_runtime.bucket}/made"
    arguments = processing(
        "import shutil; shutil.copy('/opt/ml/processing/in/rows.csv', '/opt/ml/processing/out')",
        local_runtime.role_arn,
    )
    arguments["ProcessingInputs"] = [
        {
            "InputName": "rows",
            "S3Input": {
                "S3Uri": given,
                "LocalPath": "/opt/ml/processing/in",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
    ]
    output = {"S3Uri": made, "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    arguments["ProcessingOutputConfig"] = {"Outputs": [{"OutputName": "made", "S3Output": output}]}
    steps = [{"Name": "Work", "Type": "Processing", "Arguments": arguments}]
    ended = local_runtime.execute(definition(local_runtime.role_arn, Steps=steps))
    job = local_runtime.steps(ended["PipelineExecutionArn"])["Work"]["Metadata"]["ProcessingJob"]["Arn"]
    (component,) = sagemaker.list_trial_components(SourceArn=job)["TrialComponentSummaries"]
    assert component["TrialComponentSource"]["SourceType"] == "SageMakerProcessingJob"
    assert sagemaker.list_trial_components(SourceArn=f"{job}x")["TrialComponentSummaries"] == []
    arn = component["TrialComponentArn"]
    assert ends(sagemaker, DestinationArn=arn) == {
        (given, "DataSet", "ContributedTo"),
        (SKLEARN, "Image", "ContributedTo"),
    }
    assert ends(sagemaker, SourceArn=arn) == {(made, "DataSet", "Produced")}
    (artifact,) = sagemaker.list_artifacts(SourceUri=made)["ArtifactSummaries"]
    assert ends(sagemaker, DestinationArn=artifact["ArtifactArn"]) == {
        (component["TrialComponentName"], "SageMakerTrialComponent", "Produced")
    }
