"""Airflow's ``hostname_callable`` in the test: each process is a host, as each container is."""

import os


def name() -> str:
    return os.environ["HOSTNAME"]
