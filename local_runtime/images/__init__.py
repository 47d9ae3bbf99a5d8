"""Local programs for the repositories of container images."""
