"""Scripts of the scoring pipeline's processing steps."""
