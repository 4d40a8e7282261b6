"""The environment that is deployed: its file, parsed once into frozen types, and where its things lie."""

from __future__ import annotations

import functools
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from infra.parts.aws import Aws
from infra.parts.backup import Backup
from infra.parts.base import Part
from infra.parts.kubernetes import Kubernetes
from infra.parts.snowflake import Snowflake
from infra.units import Duration, Size
from leandata.errors import SettingsError
from leandata.proxies import networks

ROOT = Path(__file__).resolve().parents[1]
_RESERVED_PORTS = 1024
_HIGHEST_PORT = 65535
_LONGEST_REASON = 400
_ON_AWS = frozenset({"s3", "rds", "secretsmanager"})
Model = TypeVar("Model", bound=BaseModel)


def _day(text: str) -> str:
    if text != "today":
        date.fromisoformat(text)
    return text


def _proxy(text: str) -> str:
    try:
        networks(text)
    except SettingsError as error:
        raise ValueError(error.what) from None
    return text


class Substrates(Part):
    """On what each part is made."""

    service: Literal["machine", "kubernetes"]
    compute: Literal["machine", "kubernetes"]
    orchestrator: Literal["machine", "kubernetes"]
    lake: Literal["machine", "s3"]
    warehouse: Literal["machine", "snowflake"]
    database: Literal["machine", "rds"]
    mail: Literal["machine", "smtp"]
    secret: Literal["machine", "kubernetes", "secretsmanager"]


class Ports(Part):
    """Ports on one machine: `base` plus the process' own offset."""

    base: int = Field(ge=_RESERVED_PORTS, le=_HIGHEST_PORT)
    offsets: dict[str, Annotated[int, Field(ge=0, le=999)]]


class DatabaseSize(Part):
    """How large the PostgreSQL server is."""

    max_connections: int = Field(ge=20)
    shared_buffers: Size


class ComputeSize(Part):
    """How many Dask workers there are, and how large each is."""

    workers: int = Field(ge=1)
    threads: int = Field(ge=1)
    memory: Size


class OrchestratorSize(Part):
    """How many tasks Airflow runs at a time, and how many Dask workers of its own it has for whole tasks (0: none)."""

    parallelism: int = Field(ge=1)
    dask_workers: int = Field(default=0, ge=0)


class ShopSource(Part):
    """Where sales come from.

    `replica` is the read-only address of the shop's own database, without a password. Without it a stand-in is seeded
    with real sales until the day `until`, and `statement_timeout` bounds one query.
    """

    until: Annotated[str, AfterValidator(_day)]
    statement_timeout: Duration
    replica: str = ""


class MailSettings(Part):
    """Who sends, who reads the reports, who is told of failures; and the relay (smtp://USER@HOST:PORT) for `smtp`."""

    sender: str
    recipients: list[str] = Field(min_length=1)
    owner: str
    relay: str = ""


class EnvironmentFile(Part):
    """All that `infra/environments/<name>.toml` may say."""

    description: str
    owner: str
    cost_centre: str
    substrates: Substrates
    ports: Ports
    database: DatabaseSize
    compute: ComputeSize
    orchestrator: OrchestratorSize
    shop: ShopSource
    sources: dict[str, str] = Field(default_factory=dict[str, str])
    mail: MailSettings
    backup: Backup = Backup()
    trusted_proxies: list[Annotated[str, AfterValidator(_proxy)]] = Field(default_factory=list[str])
    aws: Aws | None = None
    kubernetes: Kubernetes | None = None
    snowflake: Snowflake | None = None

    @model_validator(mode="after")
    def _tables(self) -> Self:
        """Every substrate that is chosen has its table."""
        chosen = set(self.substrates.model_dump().values())
        needed = {"aws": chosen & _ON_AWS, "kubernetes": chosen & {"kubernetes"}, "snowflake": chosen & {"snowflake"}}
        missing = sorted(name for name, wanted in needed.items() if wanted and getattr(self, name) is None)
        if missing:
            raise ValueError(f"the table [{missing[0]}] is missing, and substrates name {min(needed[missing[0]])}")
        if self.orchestrator.dask_workers and {self.substrates.orchestrator, self.substrates.compute} != {"machine"}:
            raise ValueError("orchestrator.dask_workers is for one machine: in pods each task has a pod of its own")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """One environment: its name, its file, the checkout it is deployed from and its state folder (absolute)."""

    name: str
    file: EnvironmentFile
    root: Path
    state: Path
    port_base: int
    today: str = ""

    @classmethod
    def load(cls, name: str, *, environ: Mapping[str, str], root: Path = ROOT) -> Environment:
        """The environment `name`; LEANDATA_STATE and LEANDATA_PORT_BASE in `environ` move its state and its ports.

        LEANDATA_TODAY (YYYY-MM-DD) fixes the date for all its services. A state folder keeps the port base and the
        date that it was first deployed with, so a later command need not name them again.
        Raises SettingsError for an unknown name and for a file that is not well formed.
        """
        known = names(root=root)
        if name not in known:
            raise SettingsError(f"unknown environment {name!r}", hint=f"ENV is one of: {', '.join(known)}")
        file = parse_toml(root / "infra" / "environments" / f"{name}.toml", EnvironmentFile)
        state = Path(environ.get("LEANDATA_STATE") or root / ".leandata" / name).absolute()
        text = environ.get("LEANDATA_PORT_BASE", "")
        memory = _remembered(state)
        base = _port_base(text) if text else memory.get("port_base", file.ports.base)
        today = _today(environ["LEANDATA_TODAY"]) if environ.get("LEANDATA_TODAY") else memory.get("today", "")
        return cls(name=name, file=file, root=root, state=state, port_base=base, today=today)

    @staticmethod
    @functools.cache
    def current() -> Environment:
        """The environment of this process, from LEANDATA_ENV (default `local`)."""
        return Environment.load(os.environ.get("LEANDATA_ENV", "local"), environ=os.environ)

    def port(self, process: str) -> int:
        """The port of a process on one machine. Raises SettingsError when the file gives it none."""
        offsets = self.file.ports.offsets
        if process not in offsets:
            place = f"infra/environments/{self.name}.toml, ports.offsets"
            raise SettingsError(f"no port for the process {process!r}", where=place, hint=f"Add {process} = <number>")
        return self.port_base + offsets[process]

    def substrate(self, part: str) -> str:
        """On what `part` (service, lake, warehouse, ...) is made."""
        return str(getattr(self.file.substrates, part))

    def has(self, place: str) -> bool:
        """Whether the environment has `place`: "aws", "kubernetes" or "snowflake"."""
        if place == "kubernetes":
            return self.substrate("service") == "kubernetes"
        return getattr(self.file, place) is not None

    def remember(self) -> None:
        """Write down what the state folder was deployed with."""
        self.state.mkdir(parents=True, exist_ok=True)
        memory = {"environment": self.name, "port_base": self.port_base, "today": self.today, "version": 1}
        _memory(self.state).write_text(json.dumps(memory, sort_keys=True) + "\n", encoding="utf-8")


def names(*, root: Path = ROOT) -> list[str]:
    """The environments that have a file, sorted."""
    return sorted(path.stem for path in (root / "infra" / "environments").glob("*.toml"))


def parse_toml(path: Path, model: type[Model]) -> Model:
    """The TOML file at `path` as `model`; SettingsError names the file, the key and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read {path.name}: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path.name} is not valid TOML: {error}", where=str(path)) from error
    return from_toml(text, model, path=path)


def from_toml(text: str, model: type[Model], *, path: Path) -> Model:
    """The text of the TOML file at `path` as `model`. Raises as `parse_toml` does."""
    try:
        return model.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path.name} is not valid TOML: {error}", where=str(path)) from error
    except ValidationError as error:
        raise SettingsError(_first_problem(error), where=str(path)) from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    reasons = {"extra_forbidden": "unknown key", "missing": "missing key"}
    reason = reasons.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    said = f"{key}: {reason}" if key else reason
    return (said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}...") + more


def _port_base(text: str) -> int:
    if not text.isdecimal() or not _RESERVED_PORTS <= int(text) <= _HIGHEST_PORT - 100:
        raise SettingsError(
            f"LEANDATA_PORT_BASE is {text!r}",
            hint=f"It is a number between {_RESERVED_PORTS} and {_HIGHEST_PORT - 100}, such as 16400",
        )
    return int(text)


def _today(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise SettingsError(f"LEANDATA_TODAY is {text!r}", hint="It is a day such as 2026-11-24") from None


def _memory(state: Path) -> Path:
    return state / "environment.json"


def _remembered(state: Path) -> dict[str, Any]:
    path = _memory(state)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {path.name}", where=str(path), hint="Remove it and deploy again") from error
