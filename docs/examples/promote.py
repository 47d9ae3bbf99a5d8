"""Promote abalone to production when somebody triggers this Airflow DAG, and say what it did."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, Param

from sagemaker_pipelines import (
    NotifyOperator,
    SageMakerPromoteOperator,
    SageMakerSnsNotifier,
    form_value,
    task_value,
)

FORM = {
    "ModelPackageArn": Param(None, type=["null", "string"], description="If empty, the newest one."),
    "ApprovalStatus": Param("PendingManualApproval", enum=["PendingManualApproval", "Approved"]),
}

with DAG("promote_abalone", schedule=None, params=FORM):
    promote = SageMakerPromoteOperator(
        task_id="promote",
        definition=Path(__file__).parent / "definitions" / "abalone.json",
        target_conn_id="aws_production",
        model_package_arn=form_value("ModelPackageArn"),
        approval_status=form_value("ApprovalStatus"),
    )
    promote >> NotifyOperator(
        task_id="notify",
        values={"promoted": task_value("promote")},
        notifier=SageMakerSnsNotifier(
            subject="abalone promoted", message="{{ values.promoted.model_package_arn }} is registered."
        ),
    )
