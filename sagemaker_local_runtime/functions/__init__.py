"""AWS Lambda functions: kept in the store, and run in the sandbox of jobs."""
