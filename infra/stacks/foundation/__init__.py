"""The stack foundation."""
