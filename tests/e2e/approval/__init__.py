"""Approvals in one Airflow."""
