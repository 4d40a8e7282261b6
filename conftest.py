"""Fixtures of real parts are everybody's."""

pytest_plugins = ["infra.testing.fixtures"]
