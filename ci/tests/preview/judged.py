"""What is risky in a change from some resources to others, with teams that are easily told apart."""

from __future__ import annotations

from pathlib import Path

from ci.preview.changes import compare
from ci.preview.model import Risk
from ci.preview.risks import assess
from ci.programs import Resource
from ci.tests.graphs import graph


class Owners:
    """The stack's team and that of the kind sign."""

    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        return (stack, kind)


def risks(before: list[Resource], after: list[Resource], *kinds: str) -> list[Risk]:
    """The risks of these kinds, all of them when none is named."""
    sides = graph(*before), graph(*after)
    changes = compare(*sides, base_root=Path("/base"), head_root=Path("/head"), reasons={})
    found = assess(changes, base=sides[0], head=sides[1], teams=Owners())
    return [one for one in found if not kinds or one.kind in kinds]
