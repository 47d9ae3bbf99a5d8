"""Stands in for pip inside a job, so that every way of calling it acts on the job's own layer."""
