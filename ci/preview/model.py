"""What a preview says, as data: changes of resources, risks, money; everything that is shown is made of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Op = Literal["create", "update", "replace", "delete"]
RiskKind = Literal["data", "access", "network", "protection", "secret", "cost", "order"]
ABSENT = "[absent]"
LATER = "known after deploy"
RISKS: tuple[RiskKind, ...] = ("data", "access", "network", "protection", "secret", "cost", "order")


@dataclass(frozen=True, kw_only=True, slots=True)
class PropertyChange:
    """One property that differs, by its path such as `rules[0].cidr`.

    ABSENT stands where it is not declared, LATER where it is known only when it is deployed.
    The values hold no secrets: those are `[secret]`, as in `ci.programs.Resource`. `options.protect` and the like are
    the resource's own options. `replaces` is whether the change forces a replacement, None where nobody knows.
    """

    path: str
    before: Any
    after: Any
    replaces: bool | None = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What happens to one resource; `before` and `after` are its whole properties, None where it is not there.

    `may_replace` says that an update of it could turn out as a replacement: the change is of an unknown kind.
    `deletes_first` is the order of a replacement.
    """

    stack: str
    urn: str
    type: str
    name: str
    op: Op
    properties: tuple[PropertyChange, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    may_replace: bool = False
    deletes_first: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """Why a change needs a second look: its kind, the resource, a sentence, and the teams that must sign it.

    With `confirm` the approval is not enough: the name of the resource is typed before it is deployed.
    """

    kind: RiskKind
    stack: str
    urn: str
    type: str
    name: str
    why: str
    teams: tuple[str, ...] = ()
    confirm: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StackChanges:
    """One stack's part of a preview: why it was looked at, what changes, how many resources stay the same."""

    stack: str
    reasons: tuple[str, ...]
    changes: tuple[Change, ...]
    same: int

    def counts(self) -> dict[str, int]:
        """How many resources are created, updated, replaced, deleted and kept, in that order."""
        found = Counter(change.op for change in self.changes)
        ops: tuple[Op, ...] = ("create", "update", "replace", "delete")
        return {**{op: found[op] for op in ops}, "same": self.same}


class Signers(Protocol):
    """Who signs what."""

    def signers(self, kind: RiskKind, stack: str) -> tuple[str, ...]:
        """The teams that sign a risk of this kind in this stack."""
        ...
