"""What is risky in a change: computed from what is declared before and after it, never guessed from its text.

Only what widens, weakens or loses something is a risk; the same declared in another way, or less, is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ci.preview import (
    risks_data,
    risks_documents,
    risks_network,
    risks_order,
    risks_rights,
    risks_secrets,
    risks_weakened,
)
from ci.preview.model import RISKS, Risk, Signers, StackChanges
from ci.preview.risking import View
from ci.programs import Program

_FINDERS: tuple[Callable[[View], Iterator[Risk]], ...] = (
    risks_data.find,
    risks_documents.find,
    risks_network.find,
    risks_order.find,
    risks_rights.find,
    risks_secrets.find,
    risks_weakened.find,
)


def assess(
    changes: Iterable[StackChanges], *, base: Mapping[str, Program], head: Mapping[str, Program], teams: Signers
) -> tuple[Risk, ...]:
    """The risks of these changes with the teams that sign them, the worst kinds first; costs are found elsewhere."""
    view = View(changes=tuple(one for stack in changes for one in stack.changes), base=base, head=head)
    if not view.changes and not any(base[stack].outputs != head[stack].outputs for stack in base.keys() & head.keys()):
        return ()
    found = {risk for find in _FINDERS for risk in find(view)}
    ordered = sorted(found, key=lambda one: (RISKS.index(one.kind), one.stack, one.type, one.name, one.urn, one.why))
    return tuple(replace(risk, teams=teams.signers(risk.kind, risk.stack)) for risk in ordered)
