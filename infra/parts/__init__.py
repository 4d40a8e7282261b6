"""The tables of an environment's file, one subject a module."""
