"""What a run is about: its interval, its partitions, its events."""
