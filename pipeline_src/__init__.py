"""What SageMaker runs: pipelines defined with the SageMaker Python SDK."""
