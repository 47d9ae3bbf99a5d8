"""Processing, training and batch transform jobs, run as processes of this machine."""

from local_runtime.jobs.service import JobService

__all__ = ["JobService"]
