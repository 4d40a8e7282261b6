"""Small graphs by hand, for tests of what reads graphs."""

from __future__ import annotations

from typing import Any

from ci.programs import Program, Resource


def resource(type_: str, name: str, properties: dict[str, Any] | None = None, **options: Any) -> Resource:
    """A resource of the stack `s` with these options."""
    whole: dict[str, Any] = {
        "parent": "", "custom": True, "needs": (), "protect": False, "retain": False, "ignore": (), **options
    }  # fmt: skip
    urn = f"urn:pulumi:test::s::{type_}::{name}"
    return Resource(urn=urn, type=type_, name=name, properties=properties or {}, **whole)


def graph(*resources: Resource, stack: str = "s") -> dict[str, Program]:
    """One stack of these resources."""
    return {stack: Program(resources={one.urn: one for one in resources})}


def deployment(
    name: str, *, namespace: str = "ns", replicas: int = 1, cpu: str = "500m", memory: str = "512Mi"
) -> Resource:
    """A Deployment of one container."""
    container = {"name": name, "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return resource(
        "kubernetes:apps/v1:Deployment",
        f"{namespace}-{name}",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
        },
    )
