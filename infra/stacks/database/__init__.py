"""The stack database."""
