"""One service first: it and what it stands on are deployed and looked at before the others are begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ci.deploy import Act, StackRun, Watcher, run_all
from ci.engine import Engine
from ci.graph import StackInfo
from ci.smoke import problem_of
from infra.environment import Environment
from leandata.errors import LeandataError


def waves(stacks: Mapping[str, StackInfo], canary: str) -> list[dict[str, StackInfo]]:
    """The stacks in the order of their waves: the canary with all it needs, then the others; one wave without a canary.

    Raises LeandataError for a canary that is not among the stacks.
    """
    if not canary:
        return [dict(stacks)]
    if canary not in stacks:
        raise LeandataError(
            f"no stack {canary!r} to deploy first", hint=f"CANARY is one of: {', '.join(sorted(stacks))}"
        )
    first: set[str] = set()
    left = [canary]
    while left:
        name = left.pop()
        if name in stacks and name not in first:
            first.add(name)
            left += stacks[name].needs
    parts = ({name: info for name, info in stacks.items() if (name in first) is early} for early in (True, False))
    return [part for part in parts if part]


def in_waves(
    engine: Engine,
    stacks: Mapping[str, StackInfo],
    *,
    canary: str,
    act: Act,
    watcher: Watcher,
    looked: Callable[[Environment, str], str] = problem_of,
) -> list[StackRun]:
    """Do `act` on the stacks, with a canary on that one first, on the others only when it is well; the runs, by name.

    `looked` says what is wrong with a service that was deployed, "" when nothing is.
    """
    runs: list[StackRun] = []
    for wave in waves(stacks, canary):
        if any(run.state != "done" for run in runs):
            skipped = [StackRun(info=info, state="skipped") for _, info in sorted(wave.items())]
            for run in skipped:
                watcher.expect(run)
                watcher.changed(run)
            runs += skipped
            continue
        done = run_all(engine, wave, act=act, watcher=watcher)
        runs += done
        mine = next((run for run in done if run.info.name == canary and run.state == "done"), None)
        if mine is not None and (said := looked(engine.environment, canary)):
            mine.state, mine.problems = "failed", [f"deployed first, and it is not well: {said}"]
            watcher.changed(mine)
    return sorted(runs, key=lambda run: run.info.name)
