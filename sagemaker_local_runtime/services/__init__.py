"""The services that executions and jobs use: S3, the model registry, events, schedules and tags."""
