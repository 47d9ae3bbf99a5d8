"""Endpoints: models that are served by processes in the sandbox of jobs, until they are deleted."""
