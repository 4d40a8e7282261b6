"""`pr-env`: the environment of a pull request, on this machine or as declarations for the cloud."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci import git, nested
from ci.cli import Options, emit
from ci.prenv import tags
from ci.prenv.clone import clone, left
from ci.prenv.tags import Tag
from infra.environment import Environment
from infra.provider import health
from infra.provider.supervisor import Supervisor
from leandata.errors import LeandataError


def pr_env(options: Options) -> int:
    """Do the one thing that is asked: --up, --down or --sweep. 1 when something is left."""
    if sum([options.up, options.down, options.sweep]) != 1:
        raise LeandataError("say one of UP=yes, DOWN=yes, SWEEP=yes")
    environment = Environment.current()
    if environment.name != "local":
        from ci.prenv.cloud_verb import in_the_cloud

        return in_the_cloud(options, environment)
    if options.sweep:
        return _told(sweep(environment, now=datetime.now(UTC)), options)
    found = tags.number(options.number)
    if options.down:
        return _told(down(environment, found), options)
    return up(environment, found, options)


def up(environment: Environment, number: int, options: Options) -> int:
    """Make the environment, or bring it to this commit; the exit code of its deployment."""
    root = environment.root
    state = tags.folder(environment.state, number)
    known = {tag.number: tag for tag in tags.read_all(environment.state)}
    base = known[number].port_base if number in known else _free_base(list(known.values()))
    tag = Tag(number=number, commit=git.head(root) or "unknown", port_base=base, until=datetime.now(UTC) + tags.LIFE)
    fresh = not state.exists()
    state.mkdir(parents=True, exist_ok=True)
    (state / tags.FILE).write_text(tag.text(), encoding="utf-8")
    copied: dict[str, int] = {}
    if fresh and (environment.state / "postgres").exists():
        copied = clone(environment.state, state)
    if not options.json:
        of = f"a copy of {environment.state}" if copied else "the seed"
        print(f"pr-{number}: data is {of}, ports from {base}, until {tag.until:%Y-%m-%d %H:%M} UTC", flush=True)
    arguments = ["deploy", "--env", "local", "--stack", options.stack, *(["--json"] if options.json else [])]
    return nested.run(root, nested.settings(state, base), *arguments)


def down(environment: Environment, number: int) -> dict[str, Any]:
    """Take the environment away, with its data; what is left is in the answer: nothing, if all is well."""
    state = tags.folder(environment.state, number)
    tag = next((tag for tag in tags.read_all(environment.state) if tag.number == number), None)
    if tag is None:
        raise LeandataError(f"pr-{number} has no environment", where=str(state))
    own = nested.settings(state, tag.port_base)
    code = nested.run(environment.root, own, "destroy", "--env", "local", "--data", "--json", quiet=True)
    if code != 0:  # whatever is wrong with its state: all that it owns lies in its folder
        Supervisor(state).shutdown()
    shutil.rmtree(state, ignore_errors=True)
    return {"number": number, "left": proof(environment, state, tag.port_base)}


def proof(environment: Environment, state: Path, base: int) -> list[str]:
    """What is still there of the environment in `state`: processes, ports, its folder with the engine's state."""
    ports = {name: base + offset for name, offset in environment.file.ports.offsets.items()}
    listening = {port: health.holder(port) for port in ports.values() if health.accepts(port, timeout=0.2)}
    return left(state, ports, listening=listening)


def sweep(environment: Environment, *, now: datetime) -> list[dict[str, Any]]:
    """Take away every environment whose tag says that its time is over."""
    return [down(environment, number) for number in tags.expired(tags.read_all(environment.state), now=now)]


def _told(answers: dict[str, Any] | Sequence[dict[str, Any]], options: Options) -> int:
    many = [answers] if isinstance(answers, dict) else list(answers)
    good = not any(one["left"] for one in many)
    if options.json:
        emit({"ok": good, "removed": many})
        return 0 if good else 1
    for one in many:
        print(f"pr-{one['number']}: " + ("; ".join(one["left"]) or "gone: no process, no port, no file is left"))
    if not many:
        print("no environment has ended")
    return 0 if good else 1


def _free_base(known: Sequence[Tag]) -> int:
    import psutil

    return tags.free_base(known, taken={one.laddr.port for one in psutil.net_connections(kind="tcp") if one.laddr})
