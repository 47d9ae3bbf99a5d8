"""What ``airflow providers`` shows about this package; the entry point ``apache_airflow_provider``."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-sagemaker-pipelines",
        "name": "SageMaker Pipelines",
        "description": "Run Amazon SageMaker Pipelines: upsert, start once, wait, branch on the metric.",
        "notifications": ["sagemaker_pipelines.notifications.sns.SageMakerSnsNotifier"],
        "config": {
            "sagemaker_pipelines": {
                "description": "Settings of sagemaker_pipelines.",
                "options": {
                    "settings_file": {
                        "description": "TOML file with the settings of each AWS connection.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/opt/airflow/settings.toml",
                        "default": "",
                    },
                    "step_lists_per_second": {
                        "description": "How often a triggerer lists the steps of executions, for each "
                        "connection.",
                        "version_added": "0.2.0",
                        "type": "float",
                        "example": "0.5",
                        "default": "1.0",
                    },
                    "settle_seconds": {
                        "description": "How long a task that has deferred or postponed itself stays so, so "
                        "that the executor has reported the end of its process.",
                        "version_added": "0.2.0",
                        "type": "float",
                        "example": "2",
                        "default": "5.0",
                    },
                },
            }
        },
    }
