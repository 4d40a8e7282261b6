"""The two ways out of a difference: make the code say it, or take it back."""

from __future__ import annotations

from ci.drift.model import Found
from infra.provider.servicer import KINDS


def adopt(found: Found, *, before: str, after: str) -> str:
    """The change of the code that makes the world as it is now the declared one."""
    where = found.source or f"the program of the stack {found.stack}"
    kind = found.type.rpartition(":")[2]
    if found.kind == "gone":
        return f"{where}: take {kind} {found.name!r} out of the program"
    if found.kind == "beside":
        return f"{where}: declare the {kind} {found.name!r}"
    if found.kind == "undeployed":
        return f"{where}: take the change of {kind} {found.name!r} back"
    if found.type in KINDS and found.property.split(".")[0].split("[")[0] in KINDS[found.type].healthy:
        return f"nothing: no program declares that {kind} {found.name!r} is ill"
    if not found.mended:
        return "nothing: the program does not say it, and the next deployment writes down what is there"
    return f"{where}: {kind} {found.name!r}, {found.property}: {before} becomes {after}"


def revert(found: Found, *, environment: str) -> str:
    """The command that makes the world as it is declared."""
    if found.kind == "beside":
        return found.by_hand or "remove it by hand"
    if not found.mended:
        return "a deployment does not change it: put it back by hand, or restore it from a backup"
    return f"make deploy ENV={environment} STACK={found.stack}"
