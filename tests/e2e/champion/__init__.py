"""A chain of models, each compared with its champion, in one Airflow."""
