"""``python -m sagemaker_local_runtime``: serve, or execute one definition."""

from sagemaker_local_runtime.cli import main

if __name__ == "__main__":
    main()
