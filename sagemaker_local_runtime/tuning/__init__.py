"""Hyperparameter tuning jobs: they search in ranges, and their training jobs run through the job service."""
