"""Look at an environment: the engine reads every resource, nothing is written, what is different is sorted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ci.bootstrap import pulumi_path
from ci.deploy import StackRun, Watcher, run_all
from ci.drift import sources
from ci.drift.beside import beside
from ci.drift.hiding import Hider
from ci.drift.model import SORTS, Difference, Found, StackDrift
from ci.drift.noise import Rule
from ci.drift.remedy import adopt, revert
from ci.drift.seen import Seen, found
from ci.drift.sorting import sort
from ci.engine import Engine, OpenStack
from ci.events import Log
from ci.graph import StackInfo
from infra.environment import Environment
from infra.provider.servicer import serve
from leandata.errors import LeandataError


def look(
    environment: Environment, stacks: Mapping[str, StackInfo], *, rules: Sequence[Rule], watcher: Watcher
) -> list[StackDrift]:
    """What differs in each stack that is deployed, by name. Raises LeandataError when the state moves meanwhile."""
    port, stop = serve()
    try:
        engine = Engine(environment=environment, pulumi=pulumi_path(), provider_port=port)
        engine.fetch(stacks.values())
        deployed = {name: replace(info, needs=()) for name, info in stacks.items() if engine.resources(name)}
        if not deployed:
            raise LeandataError(
                f"nothing of {environment.name} is deployed", hint=f"make deploy ENV={environment.name}"
            )
        before = fingerprint(engine)
        seen = {name: Seen() for name in deployed}

        def compare(stack: OpenStack, log: Log) -> None:
            stack.compare(log, also=seen[stack.info.name].take)

        runs = run_all(engine, deployed, act=compare, watcher=watcher, locked=False)
        extra = beside(environment, {name: engine.resources(name) for name in deployed})
        if fingerprint(engine) != before:
            raise LeandataError(
                "the state changed while it was looked at", hint="A deployment runs: try again after it"
            )
    finally:
        stop()
    hider = Hider.of(environment.state / "secrets")
    return [_told(run, engine, seen[run.info.name], extra, rules=rules, hider=hider) for run in runs]


def fingerprint(engine: Engine) -> str:
    """A digest of all that the engine keeps of the environment in its folder; "" where state lies in a bucket."""
    if engine.bucket is not None:
        return ""
    digest = hashlib.sha256()
    kept = engine.folder / "backend" / ".pulumi"
    for path in sorted(kept.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(kept)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _told(
    run: StackRun, engine: Engine, seen: Seen, extra: Sequence[Found], *, rules: Sequence[Rule], hider: Hider
) -> StackDrift:
    stack, environment = run.info.name, engine.environment
    if run.state != "done":
        return StackDrift(stack=stack, looked_at=len(seen.live), error=hider.text("; ".join(run.problems) or run.state))
    resources: list[dict[str, Any]] = engine.resources(stack)
    differences = found(seen, stack=stack, sources=sources.of(resources))
    differences += [one for one in extra if one.stack == stack]
    told = [difference(one, rules=rules, hider=hider, environment=environment.name) for one in differences]
    return StackDrift(stack=stack, looked_at=len(seen.live), differences=tuple(sorted(told, key=_place)))


def difference(one: Found, *, rules: Sequence[Rule], hider: Hider, environment: str) -> Difference:
    """A difference as it is shown: sorted, masked, with the two ways out of it."""
    sorted_as, why = sort(one, rules)
    before, after = hider.pair(one.before, one.after, property=one.property)
    return Difference(
        stack=one.stack, urn=one.urn, type=one.type, name=one.name, kind=one.kind, property=one.property,
        before=before, after=after, sort=sorted_as, why=why,
        adopt=adopt(one, before=before, after=after), revert=revert(one, environment=environment),
    )  # fmt: skip


def _place(one: Difference) -> tuple[int, str, str, str]:
    return SORTS.index(one.sort), one.type, one.name, one.property
