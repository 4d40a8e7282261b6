"""The first step into an account: its bootstrap is deployed with its state in a folder, which then moves to the bucket.

What there is decides what is done next, so the command may be interrupted anywhere and run again any time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ci.engine import Engine
from ci.graph import StackInfo
from ci.locks import hold
from ci.preflight_cloud import Bucket
from infra.environment import Environment
from leandata.errors import LeandataError

Step = Literal["make", "move", "forget", "update"]
SAYS: dict[Step, str] = {
    "make": "make what the bootstrap declares, with its state in this folder",
    "move": "copy that state into the bucket, and compare",
    "forget": "put the folder's copy aside",
    "update": "bring what is there to what the bootstrap declares, with its state in the bucket",
}
_FOLDER = "bootstrap/backend"
# How the engine marks a secret inside a state: see `resource.SigKey` and `SecretSig` of its SDKs.
_SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What there is: the state's bucket, and the URNs that the bootstrap's state holds here and in the bucket."""

    bucket: Bucket
    here: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()


class Places(Protocol):
    """The two places that the bootstrap's state lies in, one after the other."""

    def look(self) -> Found: ...

    def make(self) -> None: ...

    def move(self) -> None: ...

    def forget(self) -> None: ...

    def update(self) -> None: ...


def decide(found: Found, *, environment: str) -> tuple[Step, ...]:
    """What is to be done. Raises LeandataError when only a person can tell."""
    if found.bucket == "forbidden":
        hint = f"Take the role that administers the account of {environment}"
        raise LeandataError("these credentials may not use the state bucket", where=environment, hint=hint)
    if found.bucket == "missing":
        return ("make", "move", "forget", "update")
    if found.here and not found.there:
        return ("make", "move", "forget", "update")
    if not found.there:
        hint = "Run it where it was run first, or bring that folder's .leandata here"
        raise LeandataError("the state bucket is there, but nobody knows who made it", where=environment, hint=hint)
    if strange := sorted(found.here - found.there):
        what = f"the bucket's state lacks {strange[0].rpartition('::')[2]}, which this folder's has"
        raise LeandataError(what, where=environment, hint=f"Compare both, then remove {_FOLDER} of the state folder")
    return ("forget", "update") if found.here else ("update",)


def perform(places: Places, steps: Sequence[Step], *, told: Callable[[Step], None]) -> None:
    """Do the steps in their order; `told` hears of each before it begins."""
    acts: dict[Step, Callable[[], None]] = {
        "forget": places.forget,
        "make": places.make,
        "move": places.move,
        "update": places.update,
    }
    for step in steps:
        told(step)
        acts[step]()


@dataclass(frozen=True, kw_only=True, slots=True)
class States:
    """The real places: `here` and `there` are engines on the folder and on the bucket, `up` deploys on one of them."""

    here: Engine
    there: Engine
    info: StackInfo
    bucket: Callable[[], Bucket]
    up: Callable[[Engine], None]

    def look(self) -> Found:
        """What there is. Raises LeandataError."""
        bucket = self.bucket()
        there = _urns(self.there.exported(self.info)) if bucket == "there" else frozenset[str]()
        return Found(bucket=bucket, here=_urns(self.here.state(self.info.name)), there=there)

    def make(self) -> None:
        """Deploy with the state in the folder. Raises LeandataError."""
        self.up(self.here)

    def move(self) -> None:
        """Copy the state into the bucket and read it back. Raises LeandataError; the folder's copy stays."""
        state = movable(self.here.exported(self.info))
        self.there.imported(self.info, state)
        if _urns(self.there.exported(self.info)) != _urns(state):
            raise LeandataError("the bucket's state is not what was moved", where=self.there.backend, hint="Run again")

    def forget(self) -> None:
        """Put the folder's copy aside: whole, but where no engine looks for it."""
        backend = self.here.folder / "backend"
        aside = self.here.folder / "moved"
        shutil.rmtree(aside, ignore_errors=True)
        backend.rename(aside)

    def update(self) -> None:
        """Deploy with the state in the bucket. Raises LeandataError."""
        self.up(self.there)


@contextmanager
def alone(environment: Environment) -> Generator[None]:
    """One bootstrap of an environment at a time on this machine. Raises LockedError."""
    with hold(environment.state / "bootstrap" / "lock", what=f"the bootstrap of {environment.name}"):
        yield


def movable(state: dict[str, Any]) -> dict[str, Any]:
    """The state without what ties it to the folder: its passphrase. Raises LeandataError when a secret needs it."""
    if _SECRET_MARK in json.dumps(state):
        raise LeandataError("the bootstrap's state holds a secret", hint="Programs handle references only")
    if state.get("pending_operations"):
        raise LeandataError("the bootstrap was interrupted while it made something", hint="Run it again")
    return {key: value for key, value in state.items() if key != "secrets_providers"}


def outputs(state: dict[str, Any]) -> dict[str, str]:
    """The stack's outputs, in a state."""
    roots = [one for one in state.get("resources") or [] if one["type"] == "pulumi:pulumi:Stack"]
    return {str(key): str(value) for key, value in (roots[0].get("outputs") or {}).items()} if roots else {}


def _urns(state: dict[str, Any]) -> frozenset[str]:
    return frozenset(str(one["urn"]) for one in state.get("resources") or [])
