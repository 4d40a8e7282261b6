"""A service's manifest, `service.toml`: who owns it, what runs, what it reads and writes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from infra.environment import ROOT, Part, parse_toml
from infra.units import Duration, Size


class ProcessManifest(Part):
    """One process: its name, which also names its port, how its health is seen, and what it may use.

    `health` is a path such as "/healthz" that is asked over HTTP, "tcp", or "" where running is all that is known.
    """

    name: str
    health: str
    start_timeout: Duration
    memory: Size
    cpu: str


class Scaling(Part):
    """Between how many replicas the service scales."""

    minimum: int = Field(ge=0)
    maximum: int = Field(ge=1)


class DataAccess(Part):
    """The datasets that the service may read, and those that it may write."""

    reads: list[str]
    writes: list[str]


class Level(Part):
    """What the service promises."""

    availability: str


class ServiceManifest(Part):
    """All that `services/<name>/service.toml` may say."""

    name: str
    owner: str
    description: str
    cost_centre: str
    process: list[ProcessManifest] = Field(min_length=1)
    scaling: Scaling
    data: DataAccess
    level: Level

    @classmethod
    def load(cls, service: str, *, root: Path = ROOT) -> ServiceManifest:
        """The manifest of `service`. Raises SettingsError naming file and key."""
        return parse_toml(root / "services" / service / "service.toml", cls)

    def one(self, process: str) -> ProcessManifest:
        """The manifest of one process. Raises KeyError when the service has none of that name."""
        return {found.name: found for found in self.process}[process]
