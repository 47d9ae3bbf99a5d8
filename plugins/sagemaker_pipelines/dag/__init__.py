"""A whole DAG, or a task group, from a definition."""
