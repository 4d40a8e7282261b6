"""What lies beside the declared things where our provider can see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ci.drift.model import Found
from infra.environment import Environment

Resources = Mapping[str, Sequence[Mapping[str, Any]]]


def beside(environment: Environment, resources: Resources) -> list[Found]:
    """Things of this environment on this machine that no stack has in its state."""
    if environment.has("kubernetes"):
        return []
    return processes(environment, resources)


def processes(environment: Environment, resources: Resources) -> list[Found]:
    """Supervised processes that nobody has declared."""
    from infra.provider.supervisor import Supervisor

    declared = {
        str(one.get("id")) for many in resources.values() for one in many if one["type"] == "machine:index:Process"
    }
    extra = sorted(set(Supervisor(environment.state).names()) - declared)
    stack = min(resources)
    return [Found(stack=stack, urn="", type="process", name=name, kind="beside", after="supervised") for name in extra]
