"""A release as a deployment writes it down, one a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ci.release.manifest import Release, identify

A, B = "a" * 40, "b" * 40
FIRST = datetime(2026, 11, 1, 14, 2, tzinfo=UTC)


def release(day: int = 1, **changes: Any) -> Release:
    """The release of that day of November 2026."""
    moment = FIRST + timedelta(days=day - 1)
    commit = changes.get("commit", A)
    made = Release(
        id=identify(commit, moment), environment="local", commit=commit, uncommitted=False, who="ann@box",
        when=moment.isoformat(), plan="", images={}, config="sha256:c", serials={"api": "2", "lake": "1"},
        stacks=("api", "lake"), dbt="sha256:d", lake={}, model="", warehouse=moment.isoformat(),
    )  # fmt: skip
    return replace(made, **changes)
