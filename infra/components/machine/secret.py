"""Secrets on one machine: files of mode 0600."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from infra.components.stack import Stack
from infra.provider import resources as machine


def make_secret(parent: pulumi.Resource, *, name: str, stack: Stack, kind: str) -> pulumi.Output[str]:
    """A file under secrets/, made once; its path."""
    path = stack.folder("secrets", name)
    return machine.Secret(name, path=path, kind=kind, opts=stack.options(parent=parent)).path


def make_rendered_secret(
    parent: pulumi.Resource,
    *,
    name: str,
    stack: Stack,
    template: pulumi.Input[str],
    secrets: Mapping[str, pulumi.Input[str]],
) -> pulumi.Output[str]:
    """A file under secrets/ whose text is made of other secrets; its path."""
    path = stack.folder("secrets", name)
    return machine.RenderedSecret(
        name, path=path, template=template, secrets=dict(secrets), opts=stack.options(parent=parent)
    ).path
