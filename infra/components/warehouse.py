"""The warehouse: databases, schemas, and the stages through which it reads the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.components.functions import functions
from infra.components.stack import Stack
from leandata.datasets import CATALOG


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseLayout:
    """One database: its schemas, and the zone of the lake that its stage `LAKE.FILES` reads ("" = no stage)."""

    name: str
    schemas: tuple[str, ...]
    stage_zone: str = ""


_COLLECTED = {dataset.name.split(".")[0].upper() for dataset in CATALOG.values() if dataset.layer == "RAW"}
LAYOUT = (
    DatabaseLayout(name="RAW", schemas=tuple(sorted({"LAKE", *_COLLECTED})), stage_zone="raw"),
    DatabaseLayout(name="STAGING", schemas=("SHOP",)),
    DatabaseLayout(name="MARTS", schemas=("FEATURES", "LAKE", "SALES"), stage_zone="curated"),
)


class Warehouse(pulumi.ComponentResource):
    """A warehouse with our layout; `address` is how programs connect to it."""

    address: pulumi.Output[str]

    def __init__(self, name: str, *, stack: Stack, zones: Mapping[str, pulumi.Input[str]]) -> None:
        super().__init__("leandata:index:Warehouse", name)
        self.address = stack.implementation("warehouse").make(
            self, stack=stack, layout=LAYOUT, zones=zones, functions=functions(stack.environment.root)
        )
        self.register_outputs({"address": self.address})
