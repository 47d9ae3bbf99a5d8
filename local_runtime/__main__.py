"""``python -m local_runtime``: serve, or run one definition."""

from local_runtime.cli import main

if __name__ == "__main__":
    main()
