"""Processing, training and batch transform jobs, which run as processes on this machine."""

from sagemaker_local_runtime.jobs.service import JobService

__all__ = ["JobService"]
