"""Compare two model packages on the same labelled rows."""
