"""What every finder of risks is given, and what it hands back."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ci.preview.model import Change, Risk, RiskKind
from ci.programs import Program, Resource
from infra.policy.graph import PRODUCTION, Graph, names, namespace
from infra.policy.pods import Pod, pods

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class View:
    """A change of an environment: what changes, and everything that is declared before and after it."""

    changes: tuple[Change, ...]
    base: Mapping[str, Program]
    head: Mapping[str, Program]

    @functools.cached_property
    def before(self) -> tuple[Resource, ...]:
        """Every real resource of before, by URN."""
        return _all(self.base)

    @functools.cached_property
    def after(self) -> tuple[Resource, ...]:
        """Every real resource of after, by URN."""
        return _all(self.head)

    @functools.cached_property
    def pods_before(self) -> tuple[Pod, ...]:
        """Every pod that is described before."""
        return tuple(pods(Graph.from_resources(self.before, PRODUCTION)))

    @functools.cached_property
    def pods_after(self) -> tuple[Pod, ...]:
        """Every pod that is described after."""
        return tuple(pods(Graph.from_resources(self.after, PRODUCTION)))

    @functools.cached_property
    def changed(self) -> Mapping[str, Change]:
        """The changes by URN, and the moved ones by their old URN too."""
        found = {change.urn: change for change in self.changes}
        moved = {str(one.before): change for change in self.changes for one in change.properties if one.path == "urn"}
        return {**moved, **found}

    @functools.cached_property
    def created(self) -> frozenset[str]:
        """The URNs of what is there only after."""
        return frozenset(change.urn for change in self.changes if change.op == "create")

    @functools.cached_property
    def left(self) -> frozenset[str]:
        """What everything that is there after is called by others; namespaces too."""
        known = {name for one in self.after for name in names(one)}
        return frozenset(known | {namespace(one) for one in self.after if one.type.startswith("kubernetes:")})

    def risk(self, urn: str, kind: RiskKind, why: str, *, confirm: bool = False) -> Iterator[Risk]:
        """The risk of the change that this resource undergoes; none when it undergoes none."""
        if change := self.changed.get(urn):
            yield of(change, kind, why, confirm=confirm)


def of(change: Change, kind: RiskKind, why: str, *, confirm: bool = False) -> Risk:
    """A risk of this change; who signs it is decided later."""
    return Risk(
        kind=kind, stack=change.stack, urn=change.urn, type=change.type, name=change.name, why=why, confirm=confirm
    )


def holds(large: str, small: str) -> bool:
    """Whether all addresses of one range are in the other; False for what is no range of addresses."""
    try:
        one, other = (ipaddress.ip_network(text, strict=False) for text in (small, large))
    except ValueError:
        return False
    return isinstance(one, type(other)) and one.subnet_of(other)  # pyright: ignore[reportArgumentType]


def listed(found: Sequence[str]) -> str:
    """The first few of these texts, and how many more there are."""
    shown = sorted(set(found))
    more = len(shown) - _SHOWN
    return "; ".join(shown[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _all(programs: Mapping[str, Program]) -> tuple[Resource, ...]:
    found = [one for program in programs.values() for one in program.resources.values() if one.custom]
    return tuple(sorted(found, key=lambda one: one.urn))
