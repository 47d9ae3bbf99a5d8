"""The page in Airflow's UI: executions, metric, steps and cost.

``static`` is what the browser loads, ``app`` answers it, and ``runs`` puts together what it shows. Nothing
here calls AWS or writes.
"""
