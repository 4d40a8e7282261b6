"""`hostile`: thousands of hostile requests at an API of its own, by its own description."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ci.cli import Options, emit
from infra.testing.api import running
from infra.testing.hostile.attack import Outcome, attack, fill
from leandata.errors import LeandataError


def hostile(options: Options) -> int:
    """Start an API over the real published sales, attack it, say what came of it; 1 when anything is wrong."""
    for name in ("examples", "seed"):
        if not getattr(options, name).isdecimal():
            raise LeandataError(f"{getattr(options, name)!r} is no number", hint=f"{name.upper()}=450")
    with tempfile.TemporaryDirectory(prefix="leandata-hostile-") as folder, running(Path(folder)) as api:
        fill(api)
        outcome = attack(api, examples=int(options.examples), seed=int(options.seed))
    if options.json:
        emit(figures(outcome))
    else:
        print(told(outcome), end="")
    return 0 if is_well(outcome) else 1


def is_well(outcome: Outcome) -> bool:
    """Whether every answer was as described, nothing accepted was lost and nothing refused was kept."""
    return not (outcome.failures or outcome.lost or outcome.slipped_in)


def figures(outcome: Outcome) -> dict[str, object]:
    """The outcome as JSON has it."""
    return {
        "ok": is_well(outcome),
        "requests": outcome.requests,
        "answers": {str(status): count for status, count in sorted(outcome.answers.items())},
        "accepted": len(outcome.accepted),
        "lost": sorted(outcome.lost),
        "slipped_in": sorted(outcome.slipped_in),
        "seconds": round(outcome.seconds, 1),
        "failures": outcome.failures,
    }


def told(outcome: Outcome) -> str:
    """The outcome for people."""
    answers = ", ".join(f"{count:,} of {status}" for status, count in sorted(outcome.answers.items()))
    lines = [outcome.failures] if outcome.failures else []
    lines += [f"lost: {one}" for one in sorted(outcome.lost)]
    lines += [f"kept though it was refused: {one}" for one in sorted(outcome.slipped_in)]
    lines += [
        f"{outcome.requests:,} requests in {outcome.seconds:.0f} s: {answers}.",
        f"{len(outcome.accepted):,} events were accepted, {len(outcome.lost)} of them lost.",
        f"{len(outcome.slipped_in)} events were kept that were refused.",
        "Every answer is as described." if not outcome.failures else "Not every answer is as described: see above.",
    ]
    return "\n".join(lines) + "\n"
