"""The data of a run: its interval, its partitions and its events."""
