"""`rollback`: an older release again: what cannot be undone, the same preview as always, a question, the deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ci import git
from ci.cli import Options, emit
from ci.preview.document import document
from ci.preview.graphs import Cache
from ci.preview.making import given, make
from ci.preview.report import Preview
from ci.preview.sources import Repository
from ci.preview.summary import summary
from ci.progress import say
from ci.release import asking, checkouts
from ci.release.manifest import Release, named
from ci.release.served import serve_again
from ci.release.store import Store, releases
from ci.release.way_back import Kept, demand_possible, not_undone
from infra.environment import Environment
from leandata.errors import LeandataError


def rollback(options: Options) -> int:
    """Bring the release --to back; with --dry only say what that means. 1 when it could not be deployed.

    The older commit is checked out in the state folder and deployed from there, into the same state.
    """
    environment = Environment.current()
    found = releases(Store.of(environment))
    target = named(found, options.to)
    current = found[-1]
    demand_possible(target, current=current, environment=environment.name)
    git.commit(environment.root, target.commit)
    checkout = checkouts.place(environment, target.commit)
    git.worktree(environment.root, target.commit, checkout)
    preview = _preview(environment, checkout, base=current.commit)
    kept = not_undone(target, current=current, changes=preview.stacks)
    if options.json and options.dry:
        emit(
            {
                "to": target.id,
                "from": current.id,
                "not_undone": [asdict(one) for one in kept],
                "preview": document(preview),
            }
        )
    else:
        say(_told(target, current=current, kept=kept, preview=preview))
    if options.dry:
        return 0
    if not asking.answered(yes=options.yes):
        asking.ask(f"Bring {target.id} back to {environment.name}?")
    checkouts.prepared(environment, target.commit)
    checkouts.write_images(environment, checkout, target.images)
    promoted = _serve_again(environment, target)  # before it: the deployment notes which version is served
    arguments = ["deploy", "--env", environment.name, "--yes", "--back-to", target.id]
    if checkouts.command(environment, checkout, *arguments, *(["--json"] if options.json else [])) != 0:
        hint = "Mend the cause and run the same command again"
        raise LeandataError(f"{target.id} was not deployed whole", where=str(checkout), hint=hint)
    if environment.substrate("orchestrator") != "machine":
        return 0
    if target.dbt != current.dbt:
        _run_again(environment, checkout, "transform", "The models of dbt differ: their tables are made again.")
    if promoted:
        _run_again(environment, checkout, "train_model", "Predictions are made with it.")
    return 0


def _serve_again(environment: Environment, target: Release) -> bool:
    from ci.bootstrap import pulumi_path
    from ci.engine import Engine

    place = Engine(environment=environment, pulumi=pulumi_path()).outputs("lake").get("models", "")
    promoted, said = serve_again(str(place), target.model, now=datetime.now(UTC))
    if said:
        say(said)
    return promoted


def _run_again(environment: Environment, checkout: Path, pipeline: str, why: str) -> None:
    """Run a pipeline as the release has it; what follows from what it makes is started by Airflow."""
    say(f"{why} {pipeline} runs as this release has it.")
    if checkouts.command(environment, checkout, "run", "--env", environment.name, "--pipeline", pipeline, quiet=True):
        say(f"{pipeline} did not end well yet: `make run PIPELINE={pipeline}` does it when there is data.")


def _preview(environment: Environment, checkout: Path, *, base: str) -> Preview:
    """What deploying `checkout` over the commit `base` changes. Raises LeandataError when it cannot be said."""
    repository = Repository(root=checkout)
    made = make(
        repository, [environment.name], base=base, given=given(environment.root), store=Cache.of(environment.root),
        say=say,
    )  # fmt: skip
    preview = made[environment.name].preview
    if preview.failure:
        raise LeandataError(f"the rollback cannot be previewed: {preview.failure}")
    return preview


def _told(target: Release, *, current: Release, kept: Sequence[Kept], preview: Preview) -> str:
    lines = [f"From {current.id} (commit {current.commit[:12]}) back to {target.id} (commit {target.commit[:12]})"]
    lines += ["This is not undone:", *(f"  {one.what}: {one.why}" for one in kept), ""]
    return "\n".join([*lines, summary(preview)])
