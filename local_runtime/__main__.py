"""``python -m local_runtime``: serve, or execute one definition."""

from local_runtime.cli import main

if __name__ == "__main__":
    main()
