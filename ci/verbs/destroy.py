"""`destroy`: every stack in reverse, then the supervisor; nothing is left running."""

from __future__ import annotations

import shutil
import sys
import time

from ci.bootstrap import pulumi_path
from ci.cli import Options, emit
from ci.deploy import run_all
from ci.engine import Engine
from ci.events import ours
from ci.graph import discover, select
from ci.progress import watching
from ci.release import asking
from ci.release.alone import alone
from ci.verbs.deploy import names, record
from infra.environment import Environment
from infra.provider.servicer import serve
from infra.provider.supervisor import Supervisor
from leandata.errors import LeandataError

_KEPT = ("airflow", "engine", "lake", "logs", "mail", "postgres", "releases", "reports", "secrets", "warehouse")


def destroy(options: Options) -> int:
    """Remove the stacks; with --data the state folder as well. 1 when something is left."""
    started = time.monotonic()
    environment = Environment.current()
    if not environment.state.exists():
        print("nothing is deployed")
        return 0
    wanted = names(options.stack)
    if options.data:
        if wanted:
            raise LeandataError("--data removes everything, so it goes without --stack")
        asking.typed(
            environment.name,
            question=f"This removes all data in {environment.state}. Type the environment's name to go on",
            why="removing data needs a typed confirmation",
            hint="Run it in a terminal, or set CI=true",
            refused="nothing was removed",
        )
    stacks = select(discover(environment.root, environment.name), wanted)
    engine = Engine(environment=environment, pulumi=pulumi_path())
    deployed = {name: info for name, info in stacks.items() if engine.checkpoint(name).exists()}
    port, stop = serve()
    try:
        engine = Engine(environment=environment, pulumi=pulumi_path(), provider_port=port)
        made = {name: sum(not ours(found["type"]) for found in engine.resources(name)) for name in deployed}
        with alone(engine) as engine, watching(quiet=options.json, totals=lambda: made) as watcher:
            if not wanted:
                Supervisor(environment.state).stop_all()
            runs = run_all(engine, deployed, act=lambda stack, log: stack.destroy(log), watcher=watcher, reverse=True)
    finally:
        stop()
    good = all(run.state == "done" for run in runs)
    if good and not wanted:
        _end(environment, data=options.data)
    kept = [name for name in _KEPT if (environment.state / name).exists()]
    if options.json:
        emit({"ok": good, "kept": kept, "stacks": {run.info.name: record(run) for run in runs}})
    else:
        for run in runs:
            print("".join(f"error: {run.info.name}: {problem}\n" for problem in run.problems), end="", file=sys.stderr)
        print(f"Destroyed in {time.monotonic() - started:.1f}s." if good else "Not everything could be removed.")
        if kept:
            print(f"Kept in {environment.state}: {', '.join(kept)}. `make destroy DATA=yes` removes them too.")
    return 0 if good else 1


def _end(environment: Environment, *, data: bool) -> None:
    supervisor = Supervisor(environment.state)
    supervisor.shutdown()
    left = supervisor.marked()
    if left:
        raise LeandataError(f"process {left[0].pid} could not be ended", hint="End it by hand, then try again")
    shutil.rmtree(environment.state / "run", ignore_errors=True)
    if data:
        shutil.rmtree(environment.state)
