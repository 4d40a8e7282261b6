"""The stack mail."""
