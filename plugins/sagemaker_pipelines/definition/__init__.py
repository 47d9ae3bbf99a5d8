"""Read, check and fill compiled pipeline definitions. Standard library only.

It is shared by the DAGs that Airflow parses, by the compiler, and by the code that executes definitions.
"""

from sagemaker_pipelines.definition.annotations import annotate
from sagemaker_pipelines.definition.document import (
    canonical,
    definition_hash,
    iter_steps,
    parse_definition,
    s3_data_types,
)
from sagemaker_pipelines.definition.envelope import Asset, Envelope
from sagemaker_pipelines.definition.gate import Gate, gate_of
from sagemaker_pipelines.definition.graph import mirrored_steps, step_graph
from sagemaker_pipelines.definition.job_settings import with_job_settings
from sagemaker_pipelines.definition.limits import MAX_INLINE_DEFINITION
from sagemaker_pipelines.definition.linter import check, lint
from sagemaker_pipelines.definition.parameters import MASK, Parameter, check_parameters, parameters_of
from sagemaker_pipelines.definition.problem import Problem
from sagemaker_pipelines.definition.references import Reference, references
from sagemaker_pipelines.definition.step_shapes import ServiceModel

__all__ = [
    "MASK",
    "MAX_INLINE_DEFINITION",
    "Asset",
    "Envelope",
    "Gate",
    "Parameter",
    "Problem",
    "Reference",
    "ServiceModel",
    "annotate",
    "canonical",
    "check",
    "check_parameters",
    "definition_hash",
    "gate_of",
    "iter_steps",
    "lint",
    "mirrored_steps",
    "parameters_of",
    "parse_definition",
    "references",
    "s3_data_types",
    "step_graph",
    "with_job_settings",
]
