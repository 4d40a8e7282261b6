"""Objects of the warehouse, made by SQL over the Snowflake connector."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, ClassVar

from infra.provider.kinds import shapes
from infra.provider.kinds.base import Kind, Made, Properties, ProviderError, World
from infra.provider.kinds.shapes import Shape

if TYPE_CHECKING:
    from leandata.warehouse import Warehouse

_KNOWN_BY_NAME = {"name": "an object of the warehouse is known by its name"}


class WarehouseObject(Kind):
    """An object with a statement that makes it and a query that finds it; databases and schemas are kept on delete."""

    healthy: ClassVar[dict[str, Any]] = {"granted": True}
    kept = True

    def identity(self, inputs: Properties) -> str:
        """The object's full name."""
        raise NotImplementedError

    def make(self, inputs: Properties) -> str:
        """The statement that makes the object, and does no harm when it is there."""
        raise NotImplementedError

    def found(self, warehouse: Warehouse, properties: Properties) -> Properties | None:
        """The object's properties as the warehouse tells them; None when it is not there."""
        raise NotImplementedError

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        with opened(inputs["address"]) as warehouse:
            warehouse.execute(self.make(inputs))
        return Made(id=self.identity(inputs), properties=inputs)

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world, id_
        try:
            with opened(properties["address"], seconds=3) as warehouse:
                return self.found(warehouse, properties)
        except ProviderError:
            return properties  # its process is the drift then, not what lies in it

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world
        if not self.kept:
            with contextlib.suppress(ProviderError), opened(properties["address"], seconds=3) as warehouse:
                warehouse.execute(f"DROP {self.noun()} IF EXISTS {id_}")

    def noun(self) -> str:
        """What SQL calls this kind."""
        raise NotImplementedError


class WarehouseDatabase(WarehouseObject):
    """A database."""

    shapes: ClassVar[dict[str, Shape]] = {"name": shapes.identifier, "address": shapes.warehouse}
    replaced_by: ClassVar[dict[str, str]] = _KNOWN_BY_NAME

    def identity(self, inputs: Properties) -> str:
        return inputs["name"]

    def make(self, inputs: Properties) -> str:
        return f"CREATE DATABASE IF NOT EXISTS {inputs['name']}"

    def found(self, warehouse: Warehouse, properties: Properties) -> Properties | None:
        rows = warehouse.query("SHOW DATABASES")
        return properties if _named(rows, properties["name"]) else None

    def noun(self) -> str:
        return "DATABASE"


class WarehouseSchema(WarehouseObject):
    """A schema of a database."""

    shapes: ClassVar[dict[str, Shape]] = {
        "name": shapes.identifier,
        "database": shapes.identifier,
        "address": shapes.warehouse,
    }
    replaced_by: ClassVar[dict[str, str]] = {**_KNOWN_BY_NAME, "database": "a schema is not moved"}

    def identity(self, inputs: Properties) -> str:
        return f"{inputs['database']}.{inputs['name']}"

    def make(self, inputs: Properties) -> str:
        return f"CREATE SCHEMA IF NOT EXISTS {self.identity(inputs)}"

    def found(self, warehouse: Warehouse, properties: Properties) -> Properties | None:
        rows = warehouse.query(f"SHOW SCHEMAS IN DATABASE {properties['database']}")
        return properties if _named(rows, properties["name"]) else None

    def noun(self) -> str:
        return "SCHEMA"


class WarehouseFileFormat(WarehouseObject):
    """A named file format."""

    shapes: ClassVar[dict[str, Shape]] = {
        "name": shapes.identifier,
        "schema": shapes.qualified,
        "options": shapes.text,
        "address": shapes.warehouse,
    }
    replaced_by: ClassVar[dict[str, str]] = {**_KNOWN_BY_NAME, "schema": "a file format is not moved"}
    kept = False

    def identity(self, inputs: Properties) -> str:
        return f"{inputs['schema']}.{inputs['name']}"

    def make(self, inputs: Properties) -> str:
        return f"CREATE OR REPLACE FILE FORMAT {self.identity(inputs)} {inputs['options']}"

    def found(self, warehouse: Warehouse, properties: Properties) -> Properties | None:
        rows = warehouse.query(f"SHOW FILE FORMATS IN SCHEMA {properties['schema']}")
        return properties if _named(rows, properties["name"]) else None

    def noun(self) -> str:
        return "FILE FORMAT"


class WarehouseStage(WarehouseObject):
    """An external stage."""

    shapes: ClassVar[dict[str, Shape]] = {
        "name": shapes.identifier,
        "schema": shapes.qualified,
        "url": shapes.text,
        "address": shapes.warehouse,
    }
    replaced_by: ClassVar[dict[str, str]] = {**_KNOWN_BY_NAME, "schema": "a stage is not moved"}
    kept = False

    def identity(self, inputs: Properties) -> str:
        return f"{inputs['schema']}.{inputs['name']}"

    def make(self, inputs: Properties) -> str:
        url = inputs["url"].replace("'", "''")
        return f"CREATE OR REPLACE STAGE {self.identity(inputs)} URL = '{url}'"

    def found(self, warehouse: Warehouse, properties: Properties) -> Properties | None:
        row = _named(warehouse.query(f"SHOW STAGES IN SCHEMA {properties['schema']}"), properties["name"])
        return {**properties, "url": row.get("url", properties["url"])} if row else None

    def noun(self) -> str:
        return "STAGE"


class WarehouseSql(WarehouseObject):
    """A statement with the one that reverts it; the query returns a row while its effect is there."""

    shapes: ClassVar[dict[str, Shape]] = {
        "execute": shapes.text,
        "revert": shapes.text,
        "query": shapes.text,
        "address": shapes.warehouse,
    }
    replaced_by: ClassVar[dict[str, str]] = {
        "execute": "the old statement is reverted first",
        "query": "it tells of another effect",
    }

    def identity(self, inputs: Properties) -> str:
        return inputs["execute"]

    def make(self, inputs: Properties) -> str:
        return inputs["execute"]

    def found(self, warehouse: Warehouse, properties: Properties) -> Properties | None:
        return properties if warehouse.query(properties["query"]) else None

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_
        with contextlib.suppress(ProviderError), opened(properties["address"], seconds=3) as warehouse:
            warehouse.execute(properties["revert"])

    def noun(self) -> str:
        return "SQL"


def _named(rows: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((row for row in rows if str(row.get("name", "")).upper() == name.upper()), None)


@contextlib.contextmanager
def opened(address: str, *, seconds: int = 30) -> Generator[Warehouse]:
    """The warehouse at an address. Every error of it becomes a ProviderError of one line."""
    from leandata.errors import WarehouseError
    from leandata.settings import WarehouseAddress
    from leandata.warehouse import Warehouse

    try:
        with Warehouse.connect(WarehouseAddress.parse(address), timeout=seconds) as warehouse:
            yield warehouse
    except WarehouseError as error:
        raise ProviderError(error.what, where=error.where, hint=error.hint) from error
