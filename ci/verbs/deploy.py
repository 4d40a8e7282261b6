"""`deploy`: what was approved, every stack in its order, then the release and what to look at first."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci.bootstrap import pulumi_path
from ci.cli import Options, emit
from ci.deploy import StackRun, run_all
from ci.engine import Engine
from ci.events import ours
from ci.graph import StackInfo, dependents, discover, select
from ci.policy import demand_policies
from ci.preflight import demand
from ci.preflight_cloud import demand_cloud
from ci.programs import Program, declared
from ci.progress import line, watching
from ci.release import asking, checkouts
from ci.release.alone import alone
from ci.release.canary import in_waves
from ci.release.manifest import Release
from ci.release.plan import Plan, refusals
from ci.release.store import Store, keep
from ci.release.world import look as world
from infra.environment import Environment
from infra.provider.servicer import serve
from infra.provider.supervisor import Supervisor
from leandata.errors import LeandataError

_LOOKED_AT = ("airflow", "api", "dash", "mail")


def deploy(options: Options) -> int:
    """Deploy, or with --dry show what would change; with --plan exactly what was previewed. 1 when a stack failed."""
    started = time.monotonic()
    environment = Environment.current()
    everything = discover(environment.root, environment.name)
    stacks = select(everything, names(options.stack))
    plan = _plan(options)
    programs = _prepare(environment, dry=options.dry)
    port, stop = serve()
    release: Release | None = None
    try:
        engine = Engine(environment=environment, pulumi=pulumi_path(), provider_port=port)
        totals_of = lambda: totals(programs or _programs(environment))  # noqa: E731
        if options.dry:
            engine.fetch(everything.values())
            runs = look(engine, stacks, quiet=options.json, totals_of=totals_of)
        else:
            with alone(engine) as engine:
                allow(engine, stacks, plan=plan, options=options)
                with watching(quiet=options.json, totals=totals_of) as watcher:
                    runs = in_waves(
                        engine, stacks, canary=options.canary, act=lambda stack, log: stack.up(log), watcher=watcher
                    )
                if all(run.state == "done" for run in runs):
                    release = write_down(engine, everything, runs, plan=plan, back_to=options.back_to)
    finally:
        stop()
    seconds = time.monotonic() - started
    _tell(options, engine, runs, seconds=seconds, release=release, everything=everything)
    return 0 if all(run.state == "done" for run in runs) else 1


def look(
    engine: Engine, stacks: Mapping[str, StackInfo], *, quiet: bool, totals_of: Callable[[], Mapping[str, int]] = dict
) -> list[StackRun]:
    """What deploying these stacks would change, by the engine's own previews; no lock is taken."""
    with watching(quiet=quiet, totals=totals_of) as watcher:
        return run_all(engine, stacks, act=lambda stack, log: stack.preview(log), watcher=watcher, locked=False)


def allow(engine: Engine, stacks: Mapping[str, StackInfo], *, plan: Plan | None, options: Options) -> None:
    """Go on only with what was approved: the plan, or by a person who is shown the totals. Raises LeandataError."""
    environment = engine.environment
    if plan is not None:
        found = refusals(plan, world(engine), fingerprint=options.fingerprint)
        if found:
            more = f"; {'; '.join(found[1:])}" if len(found) > 1 else ""
            raise LeandataError(f"refused: {found[0]}{more}", where=options.plan, hint="Nothing was changed")
        return
    first = not any(engine.checkpoint(name).exists() for name in stacks)
    if asking.answered(yes=options.yes) or (first and environment.name == "local"):
        return
    engine.fetch(stacks.values())
    runs = look(engine, stacks, quiet=True)
    failed = [run for run in runs if run.state == "failed"]
    changes = sum(len(run.log.steps) for run in runs)
    if failed and environment.name != "local":
        reason = (failed[0].problems or ["no reason given"])[0]
        raise LeandataError(f"the preview of {failed[0].info.name} fails: {reason}", hint="Nothing was changed")
    losing = len(asking.losses(runs))
    if asking.must_ask(environment.name, first=first, changes=changes, losing=losing):
        print(asking.summary(runs, environment=environment.name), file=sys.stderr)
        asking.ask(f"Deploy this to {environment.name}?")


def write_down(
    engine: Engine, everything: Mapping[str, StackInfo], runs: Sequence[StackRun], *, plan: Plan | None, back_to: str
) -> Release:
    """Write the manifest of what was deployed. Raises LeandataError."""
    from ci.release.gather import gather  # what reads the lake takes a while to import

    release = gather(
        engine,
        everything,
        deployed=[run.info.name for run in runs],
        now=datetime.now(UTC),
        plan=plan.fingerprint if plan is not None else "",
        back_to=back_to,
    )
    keep(Store.of(engine.environment), release)
    if set(everything) <= set(release.stacks):
        # Every stack runs from this checkout now: those of other releases are needed by nobody.
        checkouts.sweep(engine.environment, keep=[release.commit])
    return release


def _plan(options: Options) -> Plan | None:
    if not options.plan:
        if options.fingerprint:
            raise LeandataError("--fingerprint goes with --plan")
        return None
    if options.stack or options.dry:
        raise LeandataError("a plan is deployed whole: it goes without STACK and DRY")
    return Plan.load(Path(options.plan))


def _tell(
    options: Options,
    engine: Engine,
    runs: Sequence[StackRun],
    *,
    seconds: float,
    release: Release | None,
    everything: Mapping[str, StackInfo],
) -> None:
    good = all(run.state == "done" for run in runs)
    if options.json:
        stacks = {run.info.name: record(run) for run in runs}
        name = release.id if release is not None else ""
        emit({"ok": good, "release": name, "seconds": round(seconds, 2), "stacks": stacks})
        return
    if options.dry:
        _show_changes(runs)
    elif good:
        said = f" as release {release.id}" if release is not None else ""
        print(f"\nDeployed {engine.environment.name} in {seconds:.1f}s{said}.")
        engine.fetch(everything[name] for name in _LOOKED_AT)
        print(look_first(engine))
    for run in runs:
        if run.state == "failed":
            after = sorted(dependents(everything, run.info.name) & {one.info.name for one in runs})
            done = ", ".join(one.info.name for one in runs if one.state == "done") or "nothing"
            print(
                f"\nerror: the stack {run.info.name} failed; not begun: {', '.join(after) or 'nothing'}; done: {done}"
            )
            print("\n".join(f"  {problem}" for problem in run.problems))
            print("What was done is kept; mend the cause and run the same command again.")


def _prepare(environment: Environment, *, dry: bool) -> dict[str, Program]:
    """What must be there before anything is changed: on this machine a supervisor, elsewhere policies and access.

    The programs where they were looked at for it; nothing on one machine, which need not wait for them.
    """
    demand(environment)
    programs: dict[str, Program] = {}
    if any(environment.has(place) for place in ("aws", "kubernetes", "snowflake")):
        programs = _programs(environment)
        demand_policies(environment, programs)
        demand_cloud(environment, programs=programs)
    environment.remember()
    if not environment.has("kubernetes") and not dry:
        Supervisor(environment.state).ensure()
    return programs


def totals(programs: Mapping[str, Program]) -> dict[str, int]:
    """How many resources each stack declares, as a log counts them."""
    return {
        name: sum(not ours(resource.type) for resource in program.resources.values())
        for name, program in programs.items()
    }


def _programs(environment: Environment) -> dict[str, Program]:
    own = {**os.environ, "LEANDATA_STATE": str(environment.state)}
    return declared(environment.name, root=environment.root, environ=own)


def names(text: str) -> list[str]:
    """The names in "a, b"; none in ""."""
    return [name.strip() for name in text.split(",") if name.strip()]


def record(run: StackRun) -> dict[str, Any]:
    """A run for machines."""
    return {
        "state": run.state,
        "seconds": round(run.seconds, 2),
        "resources": run.log.finished,
        "changes": run.log.counts(),
        "steps": [{"op": s.op, "type": s.type, "name": s.name, "changed": list(s.changed)} for s in run.log.steps],
        "problems": run.problems,
    }


def look_first(engine: Engine) -> str:
    """Addresses, where the passwords are, and what to look at first; only of stacks that are deployed."""
    outputs: dict[str, dict[str, Any]] = {name: engine.outputs(name) for name in _LOOKED_AT}
    rows = [
        (
            "Sales dashboard",
            outputs["dash"].get("url"),
            "user analyst, password in",
            outputs["dash"].get("password_file"),
        ),
        (
            "One customer",
            outputs["dash"].get("url") if outputs["dash"].get("editor_password_file") else None,
            "user editor, password in",
            outputs["dash"].get("editor_password_file"),
        ),
        ("Mailed reports", outputs["mail"].get("mail_url"), "", None),
        ("Airflow", outputs["airflow"].get("url"), "user admin, password in", outputs["airflow"].get("password_file")),
        ("API", outputs["api"].get("url"), "key in", outputs["api"].get("key_file")),
    ]
    lines = [f"  {name:<16} {url}" + (f"   {how} {file}" if file else "") for name, url, how, file in rows if url]
    if outputs["mail"].get("mail_url"):
        lines.append(
            "Look first at the mailed reports: the first one arrives when all of history is loaded"
            " (`make status WAIT=900` waits for that)."
        )
    return "\n".join(lines)


def _show_changes(runs: Sequence[StackRun]) -> None:
    for run in runs:
        print(line(run))
        for step in run.log.steps:
            changed = f": {', '.join(step.changed)}" if step.changed else ""
            print(f"    {step.op:<8} {step.type} {step.name}{changed}")
    print("Nothing was changed.")
