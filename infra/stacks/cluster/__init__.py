"""The stack cluster."""
