"""Where mail goes: a catcher that keeps and shows it on one machine, a relay elsewhere."""

from __future__ import annotations

import pulumi

from infra.components.stack import Stack


class Mail(pulumi.ComponentResource):
    """`address` is for programs that send (smtp://...), `url` for people who want to look."""

    address: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, *, stack: Stack) -> None:
        super().__init__("leandata:index:Mail", name)
        self.address, self.url = stack.implementation("mail").make(self, stack=stack)
        self.register_outputs({"address": self.address, "url": self.url})
