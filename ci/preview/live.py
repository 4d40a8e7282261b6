"""What the real engine would do to what is deployed now, and how that agrees with the difference of the programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.deploy import run_all
from ci.engine import Engine
from ci.events import Log
from ci.graph import discover
from ci.masking import stable_name
from ci.preview.model import Change, StackChanges
from ci.preview.report import Live, LiveRow
from ci.progress import watching
from infra.environment import Environment
from infra.provider.servicer import serve
from leandata.errors import LeandataError

ALSO_LIVE = "also differs live: not by this change"
ALREADY_LIVE = "already live: the engine has nothing to do"
_DEEPER = re.compile(r"[.\[]")
_OPTIONS = "options."  # of the resource, not of the thing: an engine compares no options with the world


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveStep:
    """One step that the engine would take."""

    stack: str
    urn: str
    type: str
    op: str
    properties: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


def live_steps(stack: str, log: Log) -> list[LiveStep]:
    """What the engine said that it would do to a stack."""
    return [LiveStep(stack=stack, urn=one.urn, type=one.whole, op=one.op, properties=one.changed) for one in log.steps]


def reconcile(changes: Iterable[StackChanges], steps: Sequence[LiveStep]) -> Live:
    """Both comparisons as one: how many resources both change alike, and a row for each where they do not agree.

    Where both update a resource, the properties at its top are compared, as far as the engine names them: what was
    changed by hand does not hide behind a change of another property.
    Resources whose names end in a digest of their content are the same one under another name.
    """
    declared = [change for stack in changes for change in stack.changes if not change.type.startswith("pulumi:")]
    ours: dict[str, list[Change]] = {}
    for change in declared:
        ours.setdefault(stable_name(change.urn), []).append(change)
    theirs: dict[str, list[LiveStep]] = {}
    for step in steps:
        theirs.setdefault(stable_name(step.urn), []).append(step)
    agreed = 0
    rows: list[LiveRow] = []
    for key in sorted({*ours, *theirs}):
        mine, live = ours.get(key, []), theirs.get(key, [])
        said = _relation(_op(one.op for one in mine), _op(one.op for one in live))
        found = {said: _names(mine, live)} if said else _by_property(mine, live)
        agreed += not found
        first = (live or mine)[0]
        rows += [
            LiveRow(stack=first.stack, urn=first.urn, type=first.type, name=first.name, said=said, properties=names)
            for said, names in found.items()
        ]
    rows.sort(key=lambda row: (row.said, row.stack, row.urn))
    return Live(compared=True, why="", agreed=agreed, rows=tuple(rows))


def _names(mine: Sequence[Change], live: Sequence[LiveStep]) -> tuple[str, ...]:
    theirs = {name for step in live for name in step.properties}
    return tuple(sorted(theirs or {one.path for change in mine for one in change.properties}))


def _by_property(mine: Sequence[Change], live: Sequence[LiveStep]) -> dict[str, tuple[str, ...]]:
    """Of a resource that both update: what else differs live, and what is live already; {} where they agree."""
    theirs = {_top(name) for step in live for name in step.properties}
    if not theirs or _op(one.op for one in mine) != "update":
        return {}
    ours = {_top(one.path) for change in mine for one in change.properties if not one.path.startswith(_OPTIONS)}
    found = {ALREADY_LIVE: tuple(sorted(ours - theirs)), ALSO_LIVE: tuple(sorted(theirs - ours))}
    return {said: names for said, names in found.items() if names}


def _top(path: str) -> str:
    """The property at the top that a path such as `rules[0].cidr` lies in."""
    return _DEEPER.split(path, maxsplit=1)[0]


def _op(ops: Iterable[str]) -> str:
    """One word for what happens to a resource: a new one under another name replaces the old one."""
    found = set(ops)
    return "replace" if len(found) > 1 else next(iter(found), "")


def _relation(ours: str, theirs: str) -> str:
    """How the two differ; "" where they agree."""
    if ours == theirs:
        return ""
    if not ours:
        return ALSO_LIVE
    if not theirs:
        return ALREADY_LIVE
    return f"the programs say {ours}, the engine says {theirs}"


def deployed(environment: Environment) -> bool:
    """Whether anything of the environment was ever deployed from this machine's state folder."""
    engine = Engine(environment=environment, pulumi=Path())
    return any(engine.checkpoint(name).exists() for name in discover(environment.root, environment.name))


def steps_of(engine: Engine) -> list[LiveStep]:
    """What the engine would do to every stack; nothing is changed, and no lock is taken. Raises LeandataError."""
    environment = engine.environment
    stacks = discover(environment.root, environment.name)
    os.environ["LEANDATA_ENV"] = environment.name
    Environment.current.cache_clear()
    port, stop = serve()
    try:
        looking = Engine(environment=environment, pulumi=engine.pulumi, provider_port=port)
        looking.fetch(stacks.values())
        with watching(quiet=True) as watcher:
            runs = run_all(
                looking,
                stacks,
                act=lambda stack, log: stack.preview(log),
                watcher=watcher,
                locked=False,
            )
    finally:
        stop()
    for run in runs:
        if run.state == "failed":
            reason = (run.problems or ["no reason given"])[0]
            raise LeandataError(f"the engine's preview of {run.info.name} fails: {reason}")
    return [step for run in runs for step in live_steps(run.info.name, run.log)]
