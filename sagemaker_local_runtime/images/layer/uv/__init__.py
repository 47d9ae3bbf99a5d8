"""Stands in for uv's Python package inside a job, so that ``uv pip`` acts on the job's own layer."""
