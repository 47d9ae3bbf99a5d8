"""Errors of compiling.

::

    PipelineSourceError
    ├── UnknownPipelineError    no folder of the sources defines this pipeline
    ├── CompileError            a pipeline cannot be compiled
    └── ProjectError            a project cannot be written
"""

from __future__ import annotations


class PipelineSourceError(Exception):
    """The base of the errors that this package raises."""


class UnknownPipelineError(PipelineSourceError):
    """No folder of the sources defines this pipeline."""


class CompileError(PipelineSourceError):
    """A pipeline cannot be compiled."""


class ProjectError(PipelineSourceError):
    """A project cannot be written; nothing was written."""
