"""Execute definitions: graph, expressions, conditions, caching, retries, and what the store holds of it."""
