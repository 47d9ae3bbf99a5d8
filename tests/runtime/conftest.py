"""Fixtures of the local runtime's tests: the ones that users get, too."""

from sagemaker_local_runtime.testing import local_runtime, local_runtime_process
from tests.wheels import wheelhouse

__all__ = ["local_runtime", "local_runtime_process", "wheelhouse"]
