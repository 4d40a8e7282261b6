"""Drift for people: lines for a terminal, Markdown for an issue, one object for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ci.drift.model import SORTS, Difference, StackDrift, exit_code

_LONGEST = 60_000
_LEFT_FOR_THE_END = 200
_LONGEST_ERROR = 20_000


def summary(stacks: Sequence[StackDrift]) -> str:
    """One line: what was looked at, and how much of each sort was found."""
    counts = Counter(one.sort for stack in stacks for one in stack.differences)
    found = ", ".join(f"{counts[sort]} {sort}" for sort in SORTS if counts[sort]) or "no differences"
    failed = sum(bool(stack.error) for stack in stacks)
    looked = sum(stack.looked_at for stack in stacks)
    more = f"; {failed} stacks could not be looked at" if failed else ""
    return f"{looked} resources in {len(stacks)} stacks: {found}{more}"


def lines(stacks: Sequence[StackDrift]) -> list[str]:
    """Every difference with its reason and the two ways out, the dangerous ones first, then the summary."""
    told = [f"error: {stack.stack}: {stack.error}" for stack in stacks if stack.error]
    for sort in SORTS:
        for stack in stacks:
            for one in stack.of(sort):
                told.append(f"{sort:<9} {title(one)}: {what(one)}")
                told.append(f"{'':<9}   why:    {one.why}")
                if sort != "noise":
                    told += [f"{'':<9}   adopt:  {one.adopt}", f"{'':<9}   revert: {one.revert}"]
    return [*told, summary(stacks)]


def title(one: Difference) -> str:
    """The stack, the resource and its property: `lake: Directory lake-raw mode`."""
    return f"{one.stack}: {one.type.rpartition(':')[2]} {one.name} {one.property}".rstrip()


def what(one: Difference) -> str:
    """What became of it: `0750 -> 0700`."""
    said = {"gone": f"gone ({one.before})", "beside": f"nobody declares it ({one.after})"}
    return said.get(one.kind) or f"{one.before} -> {one.after}" + (
        " (not deployed)" if one.kind == "undeployed" else ""
    )


def answer(environment: str, stacks: Sequence[StackDrift]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "environment": environment,
        "code": exit_code(stacks),
        "counts": {sort: sum(len(stack.of(sort)) for stack in stacks) for sort in sorted(SORTS)},
        "stacks": [asdict(stack) for stack in sorted(stacks, key=lambda stack: stack.stack)],
    }


def markdown(environment: str, stack: StackDrift) -> str:
    """One stack's drift as Markdown of at most 60,000 characters, the dangerous first. Values cannot be markup."""
    head = [f"### Drift of {environment}, stack {stack.stack}", ""]
    if stack.error:
        return "\n".join([*head, f"It could not be looked at: {cell(stack.error[:_LONGEST_ERROR])}", ""])
    counts = ", ".join(f"{len(stack.of(sort))} {sort}" for sort in SORTS if stack.of(sort)) or "no differences"
    head += [f"{stack.looked_at} resources: {counts}.", ""]
    rows = [
        "| "
        + " | ".join([one.sort, cell(title(one)), cell(what(one)), cell(one.why), cell(one.adopt), cell(one.revert)])
        + " |"
        for sort in SORTS
        for one in stack.of(sort)
    ]
    if not rows:
        return "\n".join(head)
    table = ["| sort | what | state -> live | why | adopt | revert |", "| --- | --- | --- | --- | --- | --- |"]
    used = sum(len(line) + 1 for line in [*head, *table]) + _LEFT_FOR_THE_END
    kept: list[str] = []
    for row in rows:
        used += len(row) + 1
        if used > _LONGEST:
            break
        kept.append(row)
    left = [f"{len(rows) - len(kept)} more are in the run's `drift.json`."] if len(kept) < len(rows) else []
    return "\n".join([*head, *table, *kept, "", *left, ""])


def cell(text: str) -> str:
    """Text as code in a cell: neither a link, nor a mention, nor the end of the cell."""
    flat = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{flat}`" if flat else ""
