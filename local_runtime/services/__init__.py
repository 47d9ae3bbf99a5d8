"""What steps and clients use beside executions: S3, the model registry, events, tags, and moto."""
