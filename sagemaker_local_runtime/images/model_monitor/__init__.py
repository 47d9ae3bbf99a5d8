"""The local stand-in for the container of SageMaker Model Monitor; it runs inside a job's sandbox.

It writes ``statistics.json``, ``constraints.json`` and, if there is a baseline to compare with,
``constraint_violations.json``, in the formats that AWS publishes:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-contract-outputs.html
"""
