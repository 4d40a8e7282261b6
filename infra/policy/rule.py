"""A rule: what it asks, where that comes from, how it is judged, and the cases that show what it lets pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from infra.policy.graph import PRODUCTION, Graph, Resource, Setting

Severity = Literal["high", "medium", "low"]
Case = tuple[Resource, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """Where a rule is broken: the resource, the property by its dotted path, and what is there, in a few words."""

    resource: Resource
    property: str
    said: str = ""


Check = Callable[[Graph], Iterator[Hit]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule. `source` is whose rule it is, `reason` what happens without it, `remedy` one line that mends it.

    `good` is a graph that passes it and `bad` one that does not, in the environment `setting`.
    """

    id: str
    title: str
    source: str
    reason: str
    remedy: str
    severity: Severity
    check: Check
    good: Case
    bad: Case
    setting: Setting = PRODUCTION

    def hits(self, resources: Sequence[Resource]) -> list[Hit]:
        """What the rule finds in a graph of just these resources."""
        return list(self.check(Graph.from_resources(resources, self.setting)))


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Finding:
    """One thing to mend: the resource's URN, the property, the rule that it breaks, and how to mend it in one line."""

    resource: str
    property: str
    rule: str
    severity: Severity
    said: str
    remedy: str

    def __str__(self) -> str:
        said = f" ({self.said})" if self.said else ""
        return f"{self.resource} {self.property}: {self.rule}{said}. {self.remedy}"
