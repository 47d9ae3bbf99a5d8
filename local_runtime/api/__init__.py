"""The SageMaker actions, one module per resource."""
