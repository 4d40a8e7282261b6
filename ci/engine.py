"""One stack on the real Pulumi engine: its backend, its program in this process, its operations."""

from __future__ import annotations

import importlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi.automation as auto
from pulumi.automation._stack import StackInitMode, UpdateSummary

from ci.command import Command
from ci.events import Log
from ci.graph import StackInfo
from ci.locks import hold
from infra.components.naming import StateBucket, state_bucket
from infra.environment import Environment
from leandata.errors import LeandataError

_DEPLOYMENT = 3  # the form of what `pulumi stack export` writes
_HISTORY_KEPT = 20


class EngineError(LeandataError):
    """An operation of the engine failed; `problems` has one line for each resource that did."""

    def __init__(self, what: str, *, problems: list[str]) -> None:
        super().__init__(what)
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """The engine of one environment: `pulumi` is the CLI, `provider_port` where our provider listens (0 = on PATH).

    With `local` state lies in a folder of its own, even where the environment has a bucket: before there is one.
    With `inherits` we took the lease of a killed deployment over: what it left locked in the bucket is nobody's.
    """

    environment: Environment
    pulumi: Path
    provider_port: int = 0
    local: bool = False
    inherits: bool = False

    @property
    def folder(self) -> Path:
        return self.environment.state / ("bootstrap" if self.local else "engine")

    @property
    def bucket(self) -> StateBucket | None:
        """Where state lies in the environment's account; None where it lies in the folder."""
        return None if self.local else state_bucket(self.environment)

    @property
    def backend(self) -> str:
        """Where state is kept: a folder, or the bucket that the bootstrap made in the environment's account."""
        if self.bucket is not None:
            return self.bucket.url
        # Without metadata=skip each file has a sidecar that is not written atomically: a kill at that moment leaves it
        # empty, and the stack cannot be opened any more ("failed to load checkpoint: EOF").
        return f"file://{self.folder / 'backend'}?metadata=skip"

    @property
    def secrets_provider(self) -> str:
        """What encrypts the secrets in the state: the bootstrap's key, or a passphrase."""
        return self.bucket.secrets_provider if self.bucket is not None else "passphrase"

    def prepare(self) -> None:
        """Make the backend's folders and the passphrase, once."""
        for part in ("backend", "home", "work"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        if not self.passphrase.exists():
            self.passphrase.touch(mode=0o600)
            self.passphrase.write_text(secrets.token_urlsafe(32), encoding="utf-8")

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    def checkpoint(self, stack: str) -> Path:
        """The file that holds the stack's state."""
        return self.folder / "backend" / ".pulumi" / "stacks" / stack / f"{self.environment.name}.json"

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """The resources in the stack's state; empty when it was never deployed."""
        return self.state(stack).get("resources") or []

    def outputs(self, stack: str) -> dict[str, Any]:
        """The stack's outputs, from its state. They hold no secrets: programs handle references only."""
        roots = [found for found in self.resources(stack) if found["type"] == "pulumi:pulumi:Stack"]
        return dict(roots[0].get("outputs") or {}) if roots else {}

    def state(self, stack: str) -> dict[str, Any]:
        """The stack's state as the engine keeps it; empty when it was never deployed. Raises LeandataError."""
        try:
            state = json.loads(self.checkpoint(stack).read_text(encoding="utf-8"))
            return dict(state.get("checkpoint", {}).get("latest") or {})
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            raise LeandataError(f"the state of {stack} is damaged", where=str(self.checkpoint(stack))) from error

    @contextmanager
    def opened(self, info: StackInfo) -> Generator[OpenStack]:
        """The stack, locked for us; what a killed deployment left is cleared first."""
        self.prepare()
        lock = self.folder / "locks" / f"{info.name}.lock"
        with hold(lock, what=f"the stack {info.name}") as held:
            stack = OpenStack(engine=self, info=info, inner=self._select(info, lock=held.fileno()))
            stack.recover()
            yield stack
            self._prune(info.name)

    def unlocked(self, info: StackInfo) -> OpenStack:
        """The stack for a look at it: previews take no lock."""
        self.prepare()
        return OpenStack(engine=self, info=info, inner=self._select(info, lock=None))

    def exported(self, info: StackInfo) -> dict[str, Any]:
        """The stack's state as its backend has it, empty when there is no such stack. Raises LeandataError."""
        self.prepare()
        workspace = self._workspace(info, lock=None)
        with _told(info):
            known = self._exists(workspace, info)
            return dict(workspace.export_stack(self.environment.name).deployment or {}) if known else {}

    def fetch(self, infos: Iterable[StackInfo]) -> None:
        """Copy these stacks' state from the bucket to where it is read as files: for previews, to look at outputs.

        Nothing where state lies in the folder anyway. Raises LeandataError.
        """
        if self.bucket is None:
            return
        for info in infos:
            copy = self.checkpoint(info.name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch(mode=0o600)
            copy.write_text(json.dumps({"checkpoint": {"latest": self.exported(info)}}), encoding="utf-8")

    def imported(self, info: StackInfo, state: dict[str, Any]) -> None:
        """Make `state` that of the stack, all of it or nothing. Raises LeandataError."""
        self.prepare()
        with _told(info):
            stack = self._select(info, lock=None)
            stack.import_stack(auto.Deployment(version=_DEPLOYMENT, deployment=state))

    def _select(self, info: StackInfo, *, lock: int | None) -> auto.Stack:
        workspace = self._workspace(info, lock=lock)
        if not self._exists(workspace, info):
            workspace.create_stack(self.environment.name)
        elif self.bucket is not None:
            self._adopt(workspace)
        return _Lean.existing(self.environment.name, workspace)

    def _adopt(self, workspace: auto.LocalWorkspace) -> None:
        """Go on with the key that encrypts the state in the bucket, on a machine that did not make the stack.

        The CLI looks for that key in the stack's settings alone, and without any it would take a new passphrase.
        """
        name = self.environment.name
        if Path(workspace.work_dir, f"Pulumi.{name}.yaml").exists():
            return
        known = (workspace.export_stack(name).deployment or {}).get("secrets_providers") or {}
        kept: dict[str, str] = known.get("state") or {}
        provider = None if self.secrets_provider == "passphrase" else self.secrets_provider
        settings = auto.StackSettings(
            secrets_provider=provider, encrypted_key=kept.get("encryptedkey"), encryption_salt=kept.get("salt")
        )
        workspace.save_stack_settings(name, settings)

    def _workspace(self, info: StackInfo, *, lock: int | None) -> auto.LocalWorkspace:
        work = self.folder / "work" / info.name
        work.mkdir(parents=True, exist_ok=True)
        backend = auto.ProjectBackend(url=self.backend)
        return auto.LocalWorkspace(
            work_dir=str(work),
            pulumi_home=str(self.folder / "home"),
            program=_program(info),
            env_vars=self._variables(),
            secrets_provider=self.secrets_provider,
            project_settings=auto.ProjectSettings(name=info.name, runtime="python", backend=backend),
            pulumi_command=Command(self.pulumi, lock=lock),
        )

    def _exists(self, workspace: auto.LocalWorkspace, info: StackInfo) -> bool:
        if self.bucket is None:
            return self.checkpoint(info.name).exists()
        return any(found.name == self.environment.name for found in workspace.list_stacks())

    def _variables(self) -> dict[str, str]:
        variables = {
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase),
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "1",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        if self.provider_port:
            variables["PULUMI_DEBUG_PROVIDERS"] = f"machine:{self.provider_port}"
        return variables

    def _prune(self, stack: str) -> None:
        """Keep the newest entries of the history: each is a whole copy of the state."""
        history = self.folder / "backend" / ".pulumi" / "history" / stack / self.environment.name
        files = sorted(history.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in files[_HISTORY_KEPT * 2 :]:
            old.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenStack:
    """A stack that operations can be run on."""

    engine: Engine
    info: StackInfo
    inner: auto.Stack

    def recover(self) -> None:
        """Clear what a killed deployment left. We hold the lock, so nobody of that deployment is alive."""
        environment = self.engine.environment
        if self.engine.bucket is not None:
            self._inherit()
            return
        folder = self.engine.folder / "backend" / ".pulumi" / "locks" / "organization" / self.info.name
        for stale in (folder / environment.name).glob("*.json"):
            stale.unlink()
        if self.engine.state(self.info.name).get("pending_operations"):
            self._run(lambda log: self.inner.refresh(clear_pending_creates=True, on_event=log.take), Log())

    def _inherit(self) -> None:
        """Clear what a killed deployment left in the bucket; a lock there is its owner's unless we hold their lease."""
        if not self.engine.inherits:
            return
        self.inner.cancel()
        if self.engine.exported(self.info).get("pending_operations"):
            self._run(lambda log: self.inner.refresh(clear_pending_creates=True, on_event=log.take), Log())

    def up(self, log: Log) -> None:
        """Bring the world to the program; drift is found and mended on the way. Raises EngineError."""
        self._run(lambda events: self.inner.up(refresh=True, on_event=events.take, message=_commit()), log)

    def preview(self, log: Log) -> None:
        """What `up` would do. Raises EngineError."""
        self._run(lambda events: self.inner.preview(on_event=events.take), log)

    def compare(self, log: Log, *, also: Callable[[Any], None]) -> None:
        """Read every resource and compare it with state and program; `also` is told each event. Nothing is written.

        Raises EngineError.
        """

        def take(event: Any) -> None:
            log.take(event)
            also(event)

        self._run(lambda _: self.inner.preview(refresh=True, on_event=take), log)

    def destroy(self, log: Log) -> None:
        """Remove what the stack made, and the stack. Raises EngineError."""
        self._run(lambda events: self.inner.destroy(on_event=events.take, remove=True), log)

    def _run(self, act: Callable[[Log], Any], log: Log) -> None:
        try:
            act(log)
        except auto.errors.CommandError as error:
            problems = log.problems or [reason(str(error))]
            raise EngineError(f"the stack {self.info.name} failed", problems=problems) from None


class _Lean(auto.Stack):
    """Without the three calls of the CLI that follow each operation: they cost more than the operation."""

    @classmethod
    def existing(cls, name: str, workspace: auto.LocalWorkspace) -> _Lean:
        """The stack without `pulumi stack select`: every call of ours names it."""
        stack = cls.__new__(cls)
        stack.name, stack.workspace, stack._mode = name, workspace, StackInitMode.SELECT  # pyright: ignore
        return stack

    def outputs(self) -> Any:
        return {}

    def info(self, show_secrets: bool = True) -> Any:  # noqa: FBT001, FBT002 - as the base class has it
        del show_secrets
        return UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


def _program(info: StackInfo) -> Callable[[], None]:
    def program() -> None:
        importlib.import_module(info.module).program()

    return program


@contextmanager
def _told(info: StackInfo) -> Generator[None]:
    """A failure of the CLI as one line."""
    try:
        yield
    except auto.errors.CommandError as error:
        raise EngineError(f"the state of {info.name}: {reason(str(error))}", problems=[]) from None


def _commit() -> str:
    return os.environ.get("LEANDATA_COMMIT", "")


def reason(text: str) -> str:
    """The last error that the CLI printed, or its last line, as one line of at most 500 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.rpartition("error: ")[2] for line in lines if "error: " in line]
    return (errors or lines or ["the engine gave no reason"])[-1][:500]
