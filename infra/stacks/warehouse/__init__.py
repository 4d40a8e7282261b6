"""The stack warehouse."""
