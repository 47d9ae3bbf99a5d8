"""The worker of batch transform jobs: split inputs, invoke the container, assemble outputs.

It runs inside the job's sandbox, once per container of the model.
https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
"""
