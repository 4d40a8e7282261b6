"""A program that needs no provider: what it says is its only output."""

from __future__ import annotations

import pulumi


def program() -> None:
    """Declare a component and an output."""
    pulumi.ComponentResource("test:index:Small", "small")
    pulumi.export("said", "hello")
