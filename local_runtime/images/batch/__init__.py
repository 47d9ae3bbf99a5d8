"""The worker of batch transform jobs: splits inputs, asks the container, assembles outputs.

It runs inside the job's sandbox, once per container of the model.
https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
"""
