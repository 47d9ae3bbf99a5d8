"""Predict the age of abalone: the SageMaker abalone example."""
