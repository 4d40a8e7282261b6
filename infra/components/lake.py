"""The lake: raw files as they came, curated files that we made, and models."""

from __future__ import annotations

import pulumi

from infra.components.stack import Stack

ZONES = ("curated", "models", "raw")


class Lake(pulumi.ComponentResource):
    """One place per zone; `urls` maps each zone to the address under which programs open it."""

    urls: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, *, stack: Stack) -> None:
        super().__init__("leandata:index:Lake", name)
        make = stack.implementation("lake").make_zone
        self.urls = {zone: make(self, zone=zone, stack=stack) for zone in ZONES}
        self.register_outputs(dict(self.urls))
