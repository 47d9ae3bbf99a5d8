"""Execute definitions: graph, expressions, conditions, caching, retries and the executions' documents."""
