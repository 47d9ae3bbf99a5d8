"""An AWS endpoint on loopback that really executes SageMaker pipeline definitions."""
