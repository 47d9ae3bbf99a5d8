"""Scripts of the abalone pipeline's processing steps."""
