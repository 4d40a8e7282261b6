"""The verbs, one subject a file."""
