"""The dated price list, parsed once: list prices, database classes, nodes, what an environment is assumed to use."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import Field

from infra.environment import parse_toml
from infra.parts.base import Part

PATH = Path(__file__).with_name("prices.toml")


class Price(Part):
    """One list price: what for, by which unit, in the list's currency, and the page that names it."""

    what: str
    unit: str
    usd: float = Field(ge=0)
    source: str


class Node(Part):
    """An instance type: its price an hour, and the vCPUs and GiB that it leaves to pods."""

    type: str
    usd: float = Field(gt=0)
    cpu: float = Field(gt=0)
    memory_gib: float = Field(gt=0)


class Usage(Part):
    """What an environment is assumed to use in a month; `warehouse_hours` is of each warehouse."""

    lake_gb: float = 0
    nat_gb: float = 0
    logs_gb: float = 0
    images_gb: float = 0
    warehouse_hours: float = 0
    warehouse_tb: float = 0
    mails: float = 0

    def idle(self) -> Usage:
        """Only what is stored: nobody works."""
        return Usage(lake_gb=self.lake_gb, images_gb=self.images_gb, warehouse_tb=self.warehouse_tb)


class Prices(Part):
    """The price list: the day on which it was typed, its region, and all prices."""

    typed_on: date
    region: str
    currency: str
    hours_a_month: int
    price: dict[str, Price]
    database_classes: dict[str, float]
    node: list[Node] = Field(min_length=1)
    usage: dict[str, Usage]

    @classmethod
    def load(cls, path: Path = PATH) -> Prices:
        """The price list at `path`. Raises SettingsError naming file and key."""
        return parse_toml(path, cls)

    @property
    def origin(self) -> str:
        """A sentence that says what these prices are."""
        return f"{self.currency} list prices of {self.region}, typed by hand on {self.typed_on}; no tax, no discount"
