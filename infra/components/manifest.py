"""A service's manifest, `service.toml`: who owns it, what runs, what it reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from infra.components.observed import Observed
from infra.environment import ROOT, from_toml, parse_toml
from infra.units import Duration, Size


class ProcessManifest(Observed):
    """One process: its name, which also names its port, how its health is seen, and what it may use.

    `health` is a path such as "/healthz" that is asked over HTTP, "tcp", or "" where running is all that is known.
    `ready` is the path that says whether it can take requests now, "" where that is the same as being alive.
    `drain` is how long it may take to end what it has begun. `only_on` names the one substrate that has it, if not all.
    """

    name: str
    health: str
    ready: str
    start_timeout: Duration
    memory: Size
    cpu: str
    drain: Duration
    only_on: Literal["", "kubernetes"] = ""


class Scaling(Observed):
    """Between how many replicas the service scales."""

    minimum: int = Field(ge=0)
    maximum: int = Field(ge=1)


class Datasets(Observed):
    """The datasets that a service may read, and those that it may write, in one store."""

    reads: list[str]
    writes: list[str]


class WarehouseData(Datasets):
    """The same of the warehouse; with `metering` the service also reads what the warehouses used of credits."""

    metering: bool = False


class DatabaseRoles(Observed):
    """The roles under which a service connects to PostgreSQL: each may do what its role may."""

    roles: list[str]


class DataAccess(Observed):
    """What a service may do with data, by store."""

    lake: Datasets
    warehouse: WarehouseData
    database: DatabaseRoles

    @property
    def reads(self) -> list[str]:
        """Datasets read from any store, sorted."""
        return sorted({*self.lake.reads, *self.warehouse.reads})

    @property
    def writes(self) -> list[str]:
        """Datasets written in any store, sorted."""
        return sorted({*self.lake.writes, *self.warehouse.writes})


class Network(Observed):
    """The processes that a service opens connections to, and who may open connections to it."""

    calls: list[str]
    open_to: Literal["people", "programs", "nobody"]


class Level(Observed):
    """What the service promises."""

    availability: str


class Budget(Observed):
    """What the service may cost in one environment, in US dollars a month by list price: more needs sign-off."""

    monthly_usd: float = Field(gt=0)


class ServiceManifest(Observed):
    """All that `services/<name>/service.toml` may say."""

    name: str
    owner: str
    description: str
    cost_centre: str
    process: list[ProcessManifest] = Field(min_length=1)
    scaling: Scaling
    network: Network
    data: DataAccess
    level: Level
    budget: Budget | None = None

    @classmethod
    def load(cls, service: str, *, root: Path = ROOT) -> ServiceManifest:
        """The manifest of `service`. Raises SettingsError naming file and key."""
        return parse_toml(root / "services" / service / "service.toml", cls).placed(service)

    @classmethod
    def read(cls, text: str, *, service: str) -> ServiceManifest:
        """The manifest of `service` in a text. Raises SettingsError naming the key."""
        return from_toml(text, cls, path=Path("services", service, "service.toml")).placed(service)

    def one(self, process: str) -> ProcessManifest:
        """The manifest of one process. Raises KeyError when the service has none of that name."""
        return {found.name: found for found in self.process}[process]
