"""The lake on one machine: a folder per zone."""

from __future__ import annotations

import pulumi

from infra.components.stack import Stack
from infra.provider import resources as machine


def make_zone(parent: pulumi.Resource, *, zone: str, stack: Stack) -> pulumi.Output[str]:
    """The folder of `zone`, kept when the stack is destroyed; its file:// address."""
    folder = machine.Directory(
        f"lake-{zone}",
        path=stack.folder("lake", zone),
        mode="0750",
        retain=True,
        opts=stack.options(parent=parent),
    )
    return folder.path.apply(lambda path: f"file://{path}")
