"""One environment's preview as a whole: what every form of it (Markdown, JSON, HTML, terminal) is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ci.preview.model import ABSENT, LATER, RISKS, Change, Risk, StackChanges

OPS = ("create", "update", "replace", "delete", "same")
SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
WORDS = {ABSENT: "not set", LATER: "known after deploy"}
_GRAVE = {"delete": 0, "replace": 1, "update": 2, "create": 3}
NO_CHANGE, FAILED, CHANGES, NEEDS_SIGN_OFF = 0, 1, 2, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Commits:
    """What was compared: the ids of base ("" if there is none) and head, how the base was chosen, head's time in UTC.

    With `dirty` head is the work tree, on top of that commit.
    """

    base: str
    how: str
    head: str
    time: datetime
    dirty: bool

    @property
    def shown(self) -> str:
        """Head as people name it."""
        return self.head[:10] + (" + uncommitted changes" if self.dirty else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class MoneyLine:
    """What a service's part of a stack costs in US dollars a month, before and after."""

    stack: str
    service: str
    base: float
    head: float

    @property
    def difference(self) -> float:
        return self.head - self.base


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a service may cost in US dollars a month, and what it does before and after."""

    service: str
    allowed: float
    base: float
    head: float

    @property
    def over(self) -> bool:
        """Whether it goes over: a cent more than allowed."""
        return self.head > self.allowed + 0.005


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """The monthly estimate in US dollars of base and head; what is `not_priced` costs money, and is in no sum."""

    lines: tuple[MoneyLine, ...]
    budgets: tuple[Budget, ...]
    not_priced: tuple[str, ...]
    origin: str

    @property
    def base(self) -> float:
        return sum(line.base for line in self.lines)

    @property
    def head(self) -> float:
        return sum(line.head for line in self.lines)

    @property
    def difference(self) -> float:
        return self.head - self.base


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveRow:
    """One resource where the program's difference and the engine's do not agree, or both: `said` is the relation."""

    stack: str
    urn: str
    type: str
    name: str
    said: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """The comparison with the live state: whether it was made, and why not; how many agree, and what does not."""

    compared: bool
    why: str
    agreed: int = 0
    rows: tuple[LiveRow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SignOff:
    """A team that has to agree: to how many risks of which kinds, and how many need its typed confirmation."""

    team: str
    risks: int
    kinds: tuple[str, ...]
    confirm: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """The whole. `needs` is the graph of all stacks; `stacks` are those compared; a `failure` is all there is."""

    environment: str
    commits: Commits
    stacks: tuple[StackChanges, ...] = ()
    needs: Mapping[str, tuple[str, ...]]
    risks: tuple[Risk, ...] = ()
    money: Money | None = None
    live: Live
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    failure: str = ""

    def totals(self) -> dict[str, int]:
        """How many resources are created, updated, replaced, deleted and kept."""
        counts = [stack.counts() for stack in self.stacks]
        return {op: sum(found[op] for found in counts) for op in OPS}

    @property
    def changes(self) -> int:
        """How many resources change."""
        return sum(len(stack.changes) for stack in self.stacks)

    @property
    def changed(self) -> tuple[StackChanges, ...]:
        """The stacks in which something changes."""
        return tuple(stack for stack in self.stacks if stack.changes)

    @property
    def exit_code(self) -> int:
        """0 no change, 2 changes without risk, 3 a risk that needs sign-off, 1 it could not be made."""
        if self.failure:
            return FAILED
        if any(risk.teams or risk.confirm for risk in self.risks):
            return NEEDS_SIGN_OFF
        return CHANGES if self.changes or self.risks else NO_CHANGE

    @property
    def verdict(self) -> str:
        """The one phrase that a reviewer reads first."""
        if self.failure:
            return "FAILED"
        if not self.risks:
            return "changes, no risk found" if self.changes else "no infrastructure change"
        worst = next(kind for kind in RISKS if any(risk.kind == kind for risk in self.risks))
        count = sum(risk.kind == worst for risk in self.risks)
        more = len(self.risks) - count
        text = f"STOP: {count} {worst} risk{'s' if count > 1 else ''}"
        return f"{text} and {more} more" if more else text

    def sign_off(self) -> tuple[SignOff, ...]:
        """Each team that has to agree, sorted."""
        found: list[SignOff] = []
        for team in sorted({team for risk in self.risks for team in risk.teams}):
            mine = [risk for risk in self.risks if team in risk.teams]
            kinds = tuple(kind for kind in RISKS if any(risk.kind == kind for risk in mine))
            confirm = sum(risk.confirm for risk in mine)
            found.append(SignOff(team=team, risks=len(mine), kinds=kinds, confirm=confirm))
        return tuple(found)


def gravest_first(stack: StackChanges) -> list[Change]:
    """The changes of a stack: what is deleted before what is replaced, updated, created; then by URN."""
    return sorted(stack.changes, key=lambda change: (_GRAVE[change.op], change.urn))


def ordered(risks: Sequence[Risk]) -> tuple[Risk, ...]:
    """The risks, each once, the kinds in the order of RISKS, then by stack, resource and sentence."""
    return tuple(
        sorted(set(risks), key=lambda one: (RISKS.index(one.kind), one.stack, one.urn, one.why, one.teams, one.confirm))
    )
