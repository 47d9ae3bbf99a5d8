"""A cluster that is killed part by part."""
