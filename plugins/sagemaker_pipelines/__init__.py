"""Run Amazon SageMaker Pipelines from Apache Airflow."""
