"""Hostile requests at the API, made by schemathesis from the API's own description: for a test and `make hostile`."""
