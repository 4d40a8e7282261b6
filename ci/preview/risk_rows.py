"""Risks as rows of a table that fits: each by itself while there is room, else grouped so that none is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from ci.preview.model import Risk, RiskKind

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Risks that are said together: how many, their kind, stack and type ("" where they are of several), and why.

    `names` are those of their resources, sorted, as many as are named; `teams` are all that have to agree.
    """

    count: int
    kind: RiskKind
    stack: str
    type: str
    names: tuple[str, ...]
    why: str
    teams: tuple[str, ...]
    confirm: bool


_Key = Callable[[Risk], Hashable]
_LEVELS: tuple[tuple[_Key, bool], ...] = (
    (lambda risk: risk, True),
    (lambda risk: (risk.kind, risk.stack, risk.type, general(risk), risk.teams, risk.confirm), True),
    (lambda risk: (risk.kind, risk.stack, risk.type, general(risk), risk.teams, risk.confirm), False),
    (lambda risk: (risk.kind, risk.stack, risk.type), False),
    (lambda risk: (risk.kind, risk.stack), False),
    (lambda risk: risk.kind, False),
)
LEVELS = len(_LEVELS)


def general(risk: Risk) -> str:
    """Why, without the resource's own name and numbers: what risks of one cause share."""
    # A short name is not taken out of the midst of a word.
    named = re.compile(rf"(?<!\w){re.escape(risk.name)}(?!\w)")
    return _NUMBER.sub("N", named.sub("NAME", risk.why) if risk.name else risk.why)


def rows(risks: Sequence[Risk], level: int) -> list[Row]:
    """The risks at a level of grouping, from 0 (each by itself) to LEVELS - 1 (a row for each kind); counts add up."""
    key, named = _LEVELS[level]
    groups: dict[Hashable, list[Risk]] = {}
    for risk in risks:
        groups.setdefault(key(risk), []).append(risk)
    return [_row(found, named=named) for found in groups.values()]


def _row(risks: Sequence[Risk], *, named: bool) -> Row:
    first = risks[0]
    names = sorted({risk.name for risk in risks})
    reasons = {general(risk) for risk in risks}
    return Row(
        count=len(risks),
        kind=first.kind,
        stack=first.stack if len({risk.stack for risk in risks}) == 1 else "",
        type=first.type if len({risk.type for risk in risks}) == 1 else "",
        names=tuple(names if named or len(names) <= 2 else (names[0], names[-1])),
        why=first.why if len(reasons) == 1 else f"{len(reasons)} reasons, among them: {first.why}",
        teams=tuple(sorted({team for risk in risks for team in risk.teams})),
        confirm=any(risk.confirm for risk in risks),
    )
