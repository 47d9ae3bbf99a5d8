"""Errors of the stack commands.

::

    StackError                   printed without a traceback; the command exits with 1
    ├── ProcessError
    │   ├── PortInUseError       another program listens on a port of the stack
    │   ├── ProcessDiedError     a process ended; the message has the end of its log
    │   └── StartTimeoutError    a process is running but did not become healthy in time
    ├── RunFailedError           a DAG run or an execution failed
    ├── PackageError             the wheel or the MWAA files cannot be built
    └── MissingDataError         the data files of the checkout are missing
"""

from __future__ import annotations


class StackError(Exception):
    """The base of the errors for users of ``make``: what failed, what was seen, what to do."""


class ProcessError(StackError):
    """A process of the stack cannot be started or kept running."""


class PortInUseError(ProcessError):
    """Another program listens on a port of the stack."""


class ProcessDiedError(ProcessError):
    """A process ended by itself."""


class StartTimeoutError(ProcessError):
    """A process did not become healthy in time."""


class RunFailedError(StackError):
    """A DAG run or a pipeline execution failed."""


class MissingDataError(StackError):
    """The data that the bootstrap uploads are missing from the checkout."""


class PackageError(StackError):
    """The wheel or the MWAA files cannot be built."""
