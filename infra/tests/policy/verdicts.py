"""What tests ask of the rules."""

from __future__ import annotations

from infra.policy import RULES
from infra.policy.graph import PRODUCTION, Graph, Resource, Setting

DEV = Setting(name="dev", production=False, protected=False)
CLUSTER = Setting(name="cluster", production=False, registry=False, protected=False)


def hits(rule: str, *resources: Resource, setting: Setting = PRODUCTION) -> list[tuple[str, str, str]]:
    """What one rule finds in a graph of these resources: name, property and what is there, sorted."""
    (found,) = [one for one in RULES if one.id == rule]
    graph = Graph.from_resources(resources, setting)
    return sorted((hit.resource.name, hit.property, hit.said) for hit in found.check(graph))


def places(rule: str, *resources: Resource, setting: Setting = PRODUCTION) -> list[str]:
    """The properties that one rule finds, sorted."""
    return sorted(property_ for _, property_, _ in hits(rule, *resources, setting=setting))


def passes(rule: str, *resources: Resource, setting: Setting = PRODUCTION) -> bool:
    """Whether one rule has nothing against a graph of these resources."""
    return not hits(rule, *resources, setting=setting)
