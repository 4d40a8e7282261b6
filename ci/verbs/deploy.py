"""`deploy`: preflight, supervisor, every stack in its order, then what to look at first."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ci.bootstrap import pulumi_path
from ci.cli import Options, emit
from ci.deploy import StackRun, run_all
from ci.engine import Engine
from ci.graph import dependents, discover, select
from ci.policy import demand_policies
from ci.preflight import demand
from ci.preflight_cloud import demand_cloud
from ci.programs import Program, declared
from ci.progress import line, watching
from infra.environment import Environment
from infra.provider.servicer import serve
from infra.provider.supervisor import Supervisor

_LOOKED_AT = ("airflow", "api", "dash", "mail")


def deploy(options: Options) -> int:
    """Deploy, or with --dry show what would change. 1 when a stack failed."""
    started = time.monotonic()
    environment = Environment.current()
    everything = discover(environment.root, environment.name)
    stacks = select(everything, names(options.stack))
    programs = _prepare(environment, dry=options.dry)
    port, stop = serve()
    try:
        engine = Engine(environment=environment, pulumi=pulumi_path(), provider_port=port)
        if options.dry:
            engine.fetch(everything.values())
        with watching(quiet=options.json, totals=lambda: totals(programs or _programs(environment))) as watcher:
            act = (lambda stack, log: stack.preview(log)) if options.dry else (lambda stack, log: stack.up(log))
            runs = run_all(engine, stacks, act=act, watcher=watcher, locked=not options.dry)
    finally:
        stop()
    good = all(run.state == "done" for run in runs)
    seconds = time.monotonic() - started
    if options.json:
        emit({"ok": good, "seconds": round(seconds, 2), "stacks": {run.info.name: record(run) for run in runs}})
    elif options.dry:
        _show_changes(runs)
    elif good:
        print(f"\nDeployed {environment.name} in {seconds:.1f}s.")
        engine.fetch(everything[name] for name in _LOOKED_AT)
        print(look_first(engine))
    for run in [] if options.json else runs:
        if run.state == "failed":
            after = sorted(dependents(everything, run.info.name) & set(stacks))
            print(f"\nerror: the stack {run.info.name} failed; not begun: {', '.join(after) or 'nothing'}")
            print("\n".join(f"  {problem}" for problem in run.problems))
            print("What was done is kept; mend the cause and run the same command again.")
    return 0 if good else 1


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
    """How many resources of ours each stack declares."""
    return {
        name: sum(resource.type.startswith("machine:") for resource in program.resources.values())
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
        ("Mailed reports", outputs["mail"].get("mail_url"), "", None),
        ("Airflow", outputs["airflow"].get("url"), "user admin, password in", outputs["airflow"].get("password_file")),
        ("API", outputs["api"].get("url"), "key in", outputs["api"].get("key_file")),
    ]
    lines = [f"  {name:<16} {url}" + (f"   {how} {file}" if file else "") for name, url, how, file in rows if url]
    first = "Look first at the mailed reports: the first one arrives when all of history is loaded (`make status`)."
    return "\n".join([*lines, first]) if lines else ""


def _show_changes(runs: Sequence[StackRun]) -> None:
    for run in runs:
        print(line(run))
        for step in run.log.steps:
            changed = f": {', '.join(step.changed)}" if step.changed else ""
            print(f"    {step.op:<8} {step.type} {step.name}{changed}")
    print("Nothing was changed.")
