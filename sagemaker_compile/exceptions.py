"""Errors of the pipeline sources.

::

    PipelineSourceError
    ├── UnknownPipelineError    no folder of pipeline_src defines this pipeline
    └── CompileError            a pipeline cannot be compiled
"""

from __future__ import annotations


class PipelineSourceError(Exception):
    """Any error that compiling raises itself."""


class UnknownPipelineError(PipelineSourceError):
    """No folder of ``pipeline_src`` defines this pipeline."""


class CompileError(PipelineSourceError):
    """A pipeline cannot be compiled."""
