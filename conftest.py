"""Fixtures of real parts are everybody's; generated examples are the same each time, and no timing is judged."""

import gc
import os

from hypothesis import HealthCheck, settings

# Importing the SDKs of the clouds makes a million objects that stay: looking through them is a sixth of it.
gc.set_threshold(50_000, 20, 20)

pytest_plugins = ["infra.testing.confined", "infra.testing.fixtures", "infra.testing.order", "infra.testing.thorough"]

_QUIET = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=_QUIET)
settings.register_profile("explore", deadline=None, max_examples=1000, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
