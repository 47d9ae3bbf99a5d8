"""Errors of compiling.

::

    PipelineSourceError
    ├── UnknownPipelineError    no folder of the sources defines this pipeline
    └── CompileError            a pipeline cannot be compiled
"""

from __future__ import annotations


class PipelineSourceError(Exception):
    """The base of the errors that this package raises."""


class UnknownPipelineError(PipelineSourceError):
    """No folder of the sources defines this pipeline."""


class CompileError(PipelineSourceError):
    """A pipeline cannot be compiled."""
