"""The service api."""
