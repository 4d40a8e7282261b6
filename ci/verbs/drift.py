"""`drift`: what an environment is against what was deployed and what the programs declare; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ci import git
from ci.cli import Options, emit, parser
from ci.comment.deciding import BOT
from ci.drift.issues import Issue, body, decide
from ci.drift.look import look
from ci.drift.model import StackDrift, exit_code
from ci.drift.noise import load
from ci.drift.report import answer, lines
from ci.graph import discover, select
from ci.progress import watching
from ci.release import asking
from ci.release.manifest import Release
from ci.release.store import Store, releases
from ci.verbs.deploy import deploy, names
from infra.environment import Environment
from leandata.errors import LeandataError


def drift(options: Options) -> int:
    """0 for nothing or only noise, 2 for harmless, 3 for dangerous, 1 for an error; with --revert the deployment's."""
    environment = Environment.current()
    rules = load(datetime.now(UTC).date(), root=environment.root)
    stacks = select(discover(environment.root, environment.name), names(options.stack))
    opened = _issues(options.issues)
    notice = beyond(releases(Store.of(environment)), commit=git.head(environment.root))
    with watching(quiet=True) as watcher:
        found = look(environment, stacks, rules=rules, watcher=watcher)
    if options.out:
        _write(Path(options.out), environment.name, found)
    if options.json:
        actions = decide(opened, found, environment=environment.name, author=BOT)
        emit({**answer(environment.name, found), "issues": [asdict(action) for action in actions], "notice": notice})
    else:
        print("\n".join([*([notice] if notice else []), *lines(found)]))
    code = exit_code(found)
    return _reverted(environment, found) if options.revert else 0 if options.soft and code in (2, 3) else code


def beyond(known: Sequence[Release], *, commit: str) -> str:
    """What to know before reading on: another commit is deployed than the one that is checked out; "" when not."""
    if not known or known[-1].commit == commit:
        return ""
    newest = known[-1]
    return (
        f"Deployed is release {newest.id} (commit {newest.commit[:12]}), checked out is {commit[:12] or 'no commit'}:"
        " what the programs changed since then is among the differences."
    )


def _reverted(environment: Environment, found: Sequence[StackDrift]) -> int:
    """Deploy the stacks that differ, after a typed confirmation; what lies beside them is left to people."""
    differing = [stack.stack for stack in found if any(one.kind != "beside" for one in stack.differences)]
    if not differing or any(stack.error for stack in found):
        return exit_code(found)
    asking.typed(
        environment.name,
        question=f"Type {environment.name} to deploy {', '.join(differing)}",
        why="reverting needs a typed confirmation",
        hint="Run it in a terminal, or set CI=true",
    )
    asked = ["deploy", "--env", environment.name, "--stack", ",".join(differing), "--yes"]
    return deploy(parser().parse_args(asked))


def _issues(file: str) -> list[Issue]:
    """The open issues in a file that `gh issue list --json number,author,body` wrote; none without a file."""
    if not file:
        return []
    try:
        read = json.loads(Path(file).read_text(encoding="utf-8"))
        return [
            Issue(number=int(one["number"]), author=str(one["author"]["login"]), body=str(one["body"])) for one in read
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise LeandataError("the open issues cannot be read", where=file) from error


def _write(folder: Path, environment: str, found: Sequence[StackDrift]) -> None:
    """One Markdown file a stack, and `drift.json` for `drift-issues`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": 1, **answer(environment, found)}, indent=2, sort_keys=True)
    (folder / "drift.json").write_text(text + "\n", encoding="utf-8")
    for stack in found:
        (folder / f"{stack.stack}.md").write_text(body(environment, stack), encoding="utf-8")
