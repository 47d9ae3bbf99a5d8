"""Kills of Airflow's processes, in one Airflow."""
