"""One run of one stack's program, and the typed contract between stacks."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Self, TypeVar

import pulumi

from infra.components import images, naming
from infra.environment import Environment
from infra.provider import resources as machine
from infra.provider.supervisor import marker
from leandata.errors import SettingsError

Made = TypeVar("Made")
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - in a pod; who reaches it is the network policy's business
POD_FOLDER = "/var/lib/leandata"
Shared = TypeVar("Shared")
FOLDERS = {"s3": "aws", "rds": "aws", "smtp": "aws", "secretsmanager": "aws"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Listen:
    """Where a process listens (`bind`), and the host under which others reach it."""

    host: str
    port: int
    bind: str

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What a program builds upon: its stack's name, its environment, and how each part is made there.

    `rendered` holds the secrets that are composed of others where a process starts: template and secrets by path.
    `foreign` holds the secrets that AWS itself made: the ARN, and the key of the JSON text, by our name for it.
    """

    name: str
    environment: Environment
    rendered: dict[str, tuple[Any, dict[str, Any]]] = dataclasses.field(default_factory=dict[str, Any])
    foreign: dict[str, tuple[pulumi.Output[str], str]] = dataclasses.field(default_factory=dict[str, Any])
    _made: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])

    @classmethod
    def begin(cls, name: str) -> Stack:
        """Start the program of the stack `name`."""
        return cls(name=name, environment=Environment.current())

    @property
    def in_pods(self) -> bool:
        """Whether services run in pods, each from its image, and not as processes of this machine."""
        return self.environment.substrate("service") == "kubernetes"

    @property
    def promised(self) -> float:
        """What part of the CPU that a container may use its node keeps for it."""
        table = self.environment.file.kubernetes
        return 1.0 if table is None else table.cpu_promised

    @property
    def python(self) -> str:
        """The interpreter that runs our own code."""
        return "python" if self.in_pods else sys.executable

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What the program has one of under that name, made by `make` when it is first asked for."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def provider_of(self, name: str, make: Callable[[], pulumi.ProviderResource]) -> pulumi.ProviderResource:
        """The program's one provider of that name, made by `make` when it is first asked for."""
        return self.once(f"provider {name}", make)

    def options(self, *, parent: pulumi.Resource | None = None, needs: list[pulumi.Resource] | None = None) -> Any:
        """Options of a resource of our own provider: its parent, what must exist before it."""
        state = self.environment.state
        provider = self.provider_of(
            "machine", lambda: machine.Provider("machine", state=str(state), marker=marker(state))
        )
        return pulumi.ResourceOptions(parent=parent, depends_on=needs, provider=provider)

    def listen(self, process: str) -> Listen:
        """Where `process` listens: loopback on one machine, every address of its own pod in a cluster."""
        port = self.environment.port(process)
        if not self.in_pods:
            return Listen(host=LOOPBACK, port=port, bind=LOOPBACK)
        return Listen(host=naming.host(self.environment, process), port=port, bind=EVERYWHERE)

    def page(self, process: str) -> str:
        """The address of `process` for people; "" where the environment has no such process."""
        if process not in self.environment.file.ports.offsets:
            return ""
        aws = self.environment.file.aws
        return f"https://{process}.{aws.domain}" if self.in_pods and aws is not None else self.listen(process).url

    def image(self, name: str) -> str:
        """The image `name`, by digest where it has one: see `infra.components.images`."""
        return images.reference(self.environment, name)

    def folder(self, *parts: str) -> str:
        """An absolute path under the environment's state folder; in a pod, under the folder of its volumes."""
        return "/".join((POD_FOLDER, *parts)) if self.in_pods else str(self.environment.state.joinpath(*parts))

    def code(self, *places: str) -> dict[str, pulumi.Input[str]]:
        """A trigger that changes when a file at or under one of `places` (from the root) does; in pods images do."""
        if self.in_pods:
            return {}
        digest = hashlib.sha256()
        for place in places:
            start = self.environment.root / place
            for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
                if path.is_file() and "__pycache__" not in path.parts:
                    digest.update(f"{path.relative_to(self.environment.root)}\0".encode())
                    digest.update(path.read_bytes())
        return {"code": digest.hexdigest()[:16]}

    def implementation(self, part: str) -> ModuleType:
        """The module that makes `part` on this environment's substrate. Raises SettingsError when there is none."""
        substrate = self.environment.substrate(part)
        name = f"infra.components.{folder(self.environment, part)}.{part}"
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise
            place = f"infra/environments/{self.environment.name}.toml, substrates.{part}"
            raise SettingsError(f"{part} cannot be made on {substrate} yet", where=place, hint="Use machine") from None


def folder(environment: Environment, part: str) -> str:
    """The folder of `infra.components` that makes `part`: a stand-in is a service, so it is made where those are."""
    substrate = environment.substrate(part)
    if substrate == "machine" and part != "secret":
        substrate = environment.substrate("service")
    return FOLDERS.get(substrate, substrate)


@dataclass(frozen=True, kw_only=True)
class StackOutputs:
    """The outputs of one stack, one field each: the only thing that another stack may know of it."""

    STACK: ClassVar[str]

    def export(self) -> None:
        """Make every field an output of the running program."""
        for field in dataclasses.fields(self):
            pulumi.export(field.name, getattr(self, field.name))

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """The outputs as another program sees them; unknown in a preview while the stack was never deployed."""
        return stack.once(f"outputs {cls.STACK}", lambda: cls._read(stack))

    @classmethod
    def _read(cls, stack: Stack) -> Self:
        environment = stack.environment
        names = [field.name for field in dataclasses.fields(cls)]
        if pulumi.runtime.is_dry_run() and not deployed(environment, cls.STACK):
            return cls(**{name: _unknown() for name in names})
        reference = pulumi.StackReference(f"organization/{cls.STACK}/{environment.name}")
        return cls(**{name: reference.require_output(name) for name in names})


def deployed(environment: Environment, stack: str) -> bool:
    """Whether the environment's backend holds outputs of `stack`."""
    backend = environment.state / "engine" / "backend" / ".pulumi" / "stacks"
    try:
        state = json.loads((backend / stack / f"{environment.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    resources = (state.get("checkpoint", {}).get("latest") or {}).get("resources") or []
    return any(found["type"] == "pulumi:pulumi:Stack" and found.get("outputs") for found in resources)


def _unknown() -> pulumi.Output[Any]:
    loop = asyncio.get_event_loop()

    def settled(value: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = loop.create_future()
        future.set_result(value)
        return future

    return pulumi.Output(settled(set()), settled(None), settled(False), settled(False))
