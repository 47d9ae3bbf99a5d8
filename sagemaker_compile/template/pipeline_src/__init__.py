"""The pipelines: one folder for each, with a ``pipeline.py`` and the scripts of its steps."""
