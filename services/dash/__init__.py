"""The service dash."""
