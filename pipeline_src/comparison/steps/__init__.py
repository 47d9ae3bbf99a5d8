"""Scripts of the comparison pipeline's processing steps."""
