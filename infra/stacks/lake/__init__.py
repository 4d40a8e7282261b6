"""The stack lake."""
