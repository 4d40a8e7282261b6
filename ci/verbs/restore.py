"""`restore`: bring an environment, or one lost part of it, back from a backup."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ci import nested
from ci.backup import folders
from ci.backup.manifest import BackupError, Manifest, demand_whole
from ci.backup.restoring import Outcome, Restore, chosen, in_the_way, planned
from ci.backup.taking import Places
from ci.cli import Options, emit
from ci.release import asking
from infra.environment import Environment
from infra.provider.supervisor import Supervisor


def restore(options: Options) -> int:
    """Restore; 1 when a total differs from that at the backup or the environment does not run afterwards."""
    environment = Environment.current()
    started = time.monotonic()
    folder = folders.asked_for(getattr(options, "from"), environment)
    manifest = Manifest.read(folder, environment=environment.name)
    parts = chosen(options.part)
    demand_whole(manifest, folder, parts)
    plan = planned(manifest, parts, state=environment.state)
    if options.dry:
        return _end(options, folder=folder, plan=plan, outcome=Outcome(), started=started, deployed=None)
    work = Restore(
        folder=folder,
        manifest=manifest,
        parts=parts,
        places=Places.of(environment),
        root=environment.root,
        key_file=folders.key_path(environment.name, os.environ),
    )
    opened = work.unsealed()
    confirm(environment, in_the_way(environment.state, parts))
    if not options.json:
        print("\n".join([f"Restoring {environment.name} from {folder}", *plan]), flush=True)
    environment.remember()
    Supervisor(environment.state).shutdown()
    outcome = work.run(opened, said=lambda text: None if options.json else print(text, flush=True))
    deployed = deploy(environment, quiet=options.json)
    if deployed["ok"] and {"database", "state"} & set(parts):
        # Only now the server runs: the engine reads that the databases are others than those in its restored state.
        deployed = deploy(environment, quiet=True)
    if deployed["ok"]:
        work.done()
    return _end(options, folder=folder, plan=plan, outcome=outcome, started=started, deployed=deployed)


def confirm(environment: Environment, there: list[str]) -> None:
    """Raises LeandataError unless nothing is in the way, or somebody said that it may be replaced."""
    if there:
        what = f"{environment.state} holds {', '.join(there)} already"
        asking.typed(
            environment.name,
            question=f"{what}. Type the environment's name to replace it",
            why=what,
            hint="Run it in a terminal and confirm it, or set CI=true",
        )


def deploy(environment: Environment, *, quiet: bool) -> dict[str, Any]:
    """Bring everything around the restored parts, by the verb that people type; what it answered."""
    if not quiet:
        print("Deploying around it ...", flush=True)
    own = nested.settings(environment.state, environment.port_base)
    answer, result = nested.answer(environment.root, own, "deploy", "--env", environment.name)
    if answer is None:
        said = (result.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BackupError(f"the deployment after the restore failed: {said}")
    return {"ok": False, **answer}


def _end(
    options: Options,
    *,
    folder: Path,
    plan: list[str],
    outcome: Outcome,
    started: float,
    deployed: dict[str, Any] | None,
) -> int:
    seconds = time.monotonic() - started
    runs = deployed is None or bool(deployed["ok"])
    good = runs and not outcome.differences
    if options.json:
        emit(
            {
                "ok": good,
                "folder": str(folder),
                "seconds": round(seconds, 2),
                "plan": plan,
                "differences": outcome.differences,
                "notes": outcome.notes,
                "events": outcome.events,
                "events_kept": outcome.kept,
                "deployed": runs and deployed is not None,
            }
        )
        return 0 if good else 1
    if deployed is None:
        print("\n".join([*plan, "The backup is whole. Nothing was changed."]))
        return 0
    print("\n".join([*(f"error: {one}" for one in outcome.differences), *outcome.notes]))
    if outcome.events:
        print(outcome.events)
    if not runs:
        print("error: the parts are in place, but the environment does not run; `make deploy` says why")
    same = "totals equal those at the backup" if not outcome.differences else "totals DIFFER from those at the backup"
    print(f"Restored in {seconds:.1f}s; {same}.")
    return 0 if good else 1
