"""The shop: the source that sales are read from. On one machine a stand-in with real sales is seeded."""

from __future__ import annotations

import pulumi

from infra.components.database import DatabaseServer
from infra.components.stack import Stack


class Shop(pulumi.ComponentResource):
    """`replica` is the read-only address that pipelines use; `note` says what a reader of the figures must know."""

    replica: pulumi.Output[str]
    note: str

    def __init__(self, name: str, *, stack: Stack, server: DatabaseServer) -> None:
        super().__init__("leandata:index:Shop", name)
        make = stack.implementation("database").make_shop
        self.replica, self.note = make(self, name=name, stack=stack, server=server)
        self.register_outputs({"replica": self.replica, "note": self.note})
