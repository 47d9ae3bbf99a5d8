"""Compile pipelines of the SageMaker Python SDK to definitions: offline and deterministic."""
