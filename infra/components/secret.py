"""A secret that is made once and handed on as a file: its value never enters a program."""

from __future__ import annotations

from typing import Literal

import pulumi

from infra.components.stack import Stack

Kind = Literal["password", "hex", "fernet", "urlsafe64", "rsa", "tls"]


class Secret(pulumi.ComponentResource):
    """A generated secret; `path` is the file that holds it where it is used."""

    path: pulumi.Output[str]

    def __init__(
        self, name: str, *, stack: Stack, kind: Kind = "password", parent: pulumi.Resource | None = None
    ) -> None:
        super().__init__("leandata:index:Secret", name, opts=pulumi.ResourceOptions(parent=parent))
        self.path = stack.implementation("secret").make_secret(self, name=name, stack=stack, kind=kind)
        self.register_outputs({"path": self.path})


class RenderedSecret(pulumi.ComponentResource):
    """A secret file whose text is made of other secrets: `{name}` in the template stands for the secret `name`."""

    path: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        stack: Stack,
        template: pulumi.Input[str],
        secrets: dict[str, pulumi.Input[str]],
        parent: pulumi.Resource | None = None,
    ) -> None:
        super().__init__("leandata:index:RenderedSecret", name, opts=pulumi.ResourceOptions(parent=parent))
        implementation = stack.implementation("secret")
        self.path = implementation.make_rendered_secret(
            self, name=name, stack=stack, template=template, secrets=secrets
        )
        self.register_outputs({"path": self.path})
