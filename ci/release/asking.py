"""What a person is shown before a deployment by hand, and when they are asked."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence

from ci.deploy import StackRun
from ci.events import Step
from ci.preview.replacing import stateful
from leandata.errors import LeandataError

_LOSING = ("delete", "replace")


def losses(runs: Sequence[StackRun]) -> list[tuple[str, Step]]:
    """The steps of previews that delete or replace what holds data, by stack."""
    steps = [(run.info.name, step) for run in runs for step in run.log.steps]
    return [(stack, step) for stack, step in steps if step.op in _LOSING and stateful(step.whole)]


def must_ask(environment: str, *, first: bool, changes: int, losing: int) -> bool:
    """Whether a person must say yes: always, but for nothing to do, for what was never deployed to this machine, and
    for this machine when nothing is lost that holds data."""
    if changes == 0:
        return False
    return not (environment == "local" and (first or losing == 0))


def answered(*, yes: bool) -> bool:
    """Whether the question is answered beforehand: by YES=yes, or because a pipeline deploys (CI=true)."""
    return yes or os.environ.get("CI") == "true"


def summary(runs: Sequence[StackRun], *, environment: str) -> str:
    """Totals first, then what loses data, then each stack that changes."""
    totals = Counter(step.op for run in runs for step in run.log.steps)
    counts = " · ".join(f"{op} {totals[op]}" for op in ("create", "update", "replace", "delete"))
    lines = [f"{environment}: {counts}"]
    lines += [f"  DATA     {stack}: {step.op} {step.type} {step.name}" for stack, step in losses(runs)]
    for run in runs:
        found = Counter(step.op for step in run.log.steps)
        if found:
            lines.append(f"  {run.info.name:<11} {', '.join(f'{op} {count}' for op, count in sorted(found.items()))}")
    return "\n".join(lines)


def typed(environment: str, *, question: str, why: str, hint: str, refused: str = "nothing was changed") -> None:
    """Go on only after the environment's name was typed, or in a pipeline (CI=true).

    Raises LeandataError when it is not typed (`refused` says what did not happen), or nobody can type it (`why`).
    """
    if answered(yes=False):
        return
    if not sys.stdin.isatty():
        raise LeandataError(why, hint=hint)
    if _line(f"{question}: ") != environment:
        raise LeandataError(f"not confirmed; {refused}")


def ask(question: str) -> None:
    """Go on only after a typed y. Raises LeandataError when it is not given, or cannot be."""
    if not sys.stdin.isatty():
        raise LeandataError("this deployment needs a typed y", hint="Run it in a terminal, or give YES=yes")
    if _line(f"{question} [y/N] ").lower() not in ("y", "yes"):
        raise LeandataError("not confirmed; nothing was changed")


def _line(prompt: str) -> str:
    """What was typed; "" when the input ends."""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""
