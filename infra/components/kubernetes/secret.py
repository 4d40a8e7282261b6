"""Secrets in the cluster: made once by our provider, mounted as files by those who use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.components import naming
from infra.components.kubernetes import pods
from infra.components.stack import Stack
from infra.provider import resources as machine

_READABLE = 0o440


def make_secret(parent: pulumi.Resource, *, name: str, stack: Stack, kind: str) -> pulumi.Output[str]:
    """A v1 Secret of the same random value in each namespace that uses it; the path under which pods read it."""
    environment = stack.environment
    homes = naming.secret_homes(environment, name)
    machine.ClusterSecret(
        name,
        secret=name,
        namespaces=[naming.namespace(environment, home) for home in homes],
        kind=kind,
        labels=naming.labels(environment, stack=stack.name, service=homes[0]),
        opts=stack.options(parent=parent),
    )
    return pulumi.Output.from_input(f"{pods.SECRETS}/{name}")


def make_rendered_secret(
    parent: pulumi.Resource,
    *,
    name: str,
    stack: Stack,
    template: pulumi.Input[str],
    secrets: Mapping[str, pulumi.Input[str]],
) -> pulumi.Output[str]:
    """A file that every pod of this program which names it writes for itself where it starts; its path."""
    del parent
    path = f"{pods.RENDERED}/{name}"
    stack.rendered[path] = (template, dict(secrets))
    return pulumi.Output.from_input(path)


def volume(
    parent: pulumi.Resource, *, stack: Stack, owner: str, process: str, names: pulumi.Output[list[str]]
) -> pulumi.Output[dict[str, Any]]:
    """The source of the volume with the secrets `names`, {} when there are none."""
    del parent, stack, owner, process
    return names.apply(projected)


def projected(names: list[str]) -> dict[str, Any]:
    """A volume with one file for each of the secrets, which group and owner of the pod may read."""
    if not names:
        return {}
    sources = [{"secret": {"items": [{"key": "value", "path": name}], "name": name}} for name in names]
    return {"projected": {"defaultMode": _READABLE, "sources": sources}}
