"""What a look for drift says, as data; everything that is shown is made of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["changed", "gone", "beside", "undeployed"]
Sort = Literal["noise", "harmless", "dangerous"]
SORTS: tuple[Sort, ...] = ("dangerous", "harmless", "noise")
ABSENT = "absent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A difference as it was seen, not yet sorted: its values may hold secrets and are not for showing.

    `kind` is changed (live differs from state), gone (removed by hand), beside (nobody declares it) or undeployed (the
    program says other than was deployed). `property` is a path such as `env.MODE`, "" for the whole resource.
    `mended` is whether a deployment brings it back. `source` is where the program declares it, as `file:line`.
    """

    stack: str
    urn: str
    type: str
    name: str
    kind: Kind
    property: str = ""
    before: Any = ABSENT
    after: Any = ABSENT
    mended: bool = True
    source: str = ""
    by_hand: str = ""
    """For what is beside: the command that removes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A difference for people: sorted, with the reason, secrets masked, and the two ways out of it."""

    stack: str
    type: str
    name: str
    kind: Kind
    property: str
    before: str
    after: str
    sort: Sort
    why: str
    adopt: str
    revert: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StackDrift:
    """One stack's differences, by danger and name; `looked_at` counts its resources, `error` says why it failed."""

    stack: str
    looked_at: int
    differences: tuple[Difference, ...] = ()
    error: str = ""

    def of(self, sort: Sort) -> tuple[Difference, ...]:
        """The differences of one sort."""
        return tuple(one for one in self.differences if one.sort == sort)


def exit_code(stacks: Sequence[StackDrift]) -> int:
    """1 when a stack could not be looked at, 3 for danger, 2 for what is harmless, 0 for nothing but noise."""
    sorts = {one.sort for stack in stacks for one in stack.differences}
    if any(stack.error for stack in stacks):
        return 1
    return 3 if "dangerous" in sorts else 2 if "harmless" in sorts else 0
