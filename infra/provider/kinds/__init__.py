"""The kinds of things that the provider makes, one subject a file."""
