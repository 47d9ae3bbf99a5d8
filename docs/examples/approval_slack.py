"""Train abalone every week, and ask in Slack whether the model is approved: an Airflow DAG."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

from sagemaker_pipelines import Approval, sagemaker_pipeline_dag

dag = sagemaker_pipeline_dag(
    "abalone_slack",
    definition=Path(__file__).parent / "definitions" / "abalone.json",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    data_parameters=["InputData", "BatchData"],
    scoring_dag="abalone_score",
    approval=Approval(
        timeout=timedelta(days=3),
        notifiers=[
            SlackWebhookNotifier(
                slack_webhook_conn_id="slack",
                text="{{ values.subject }}\n<{{ values.link }}|Answer in Airflow>",
            )
        ],
    ),
)
