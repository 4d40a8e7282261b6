"""PostgreSQL in a pod: the stand-in for a managed server."""
