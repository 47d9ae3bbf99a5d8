"""The pipeline my-pipeline."""
