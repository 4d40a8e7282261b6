"""The SQL of dbt's models as it runs, compiled without a connection to any warehouse."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leandata.errors import LeandataError
from leandata.settings import WarehouseAddress
from pipelines.running_dbt import RunningDbt

PROJECT = Path("services", "airflow", "pipelines", "dbt")
_NOWHERE = WarehouseAddress.parse("snowflake://nobody@nowhere?host=127.0.0.1&port=9&protocol=http")
_COMPILE = ("compile", "--no-populate-cache", "--no-introspect", "--no-partial-parse")
_DAY = "2026-01-01"  # days are data, not lineage: any stands for `until`


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model: its table's full name in capitals, its SQL, its file from the root, and what it is made from."""

    table: str
    sql: str
    path: str
    needs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """Models by table, each after those it is made from; the names of checks by table."""

    models: Mapping[str, Model]
    checks: Mapping[str, tuple[str, ...]]


def compiled(root: Path) -> Compiled:
    """Compile the models of the checkout at `root`. Raises LeandataError with dbt's own words when they cannot be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "target" / "manifest.json"
        with RunningDbt(folder) as dbt:
            answer = dbt.run(*_COMPILE, address=_NOWHERE, until=_DAY, project=root.resolve() / PROJECT)
        if not answer.fine or not manifest.exists():
            raise LeandataError(f"dbt cannot compile the models: {answer.end}", where=str(PROJECT))
        return read(json.loads(manifest.read_text(encoding="utf-8")))


def read(manifest: Mapping[str, Any]) -> Compiled:
    """What dbt's manifest says of models and tests."""
    nodes: Mapping[str, Any] = manifest["nodes"]
    tables = {one: _table(found) for one, found in (manifest["sources"] | nodes).items() if _is_table(found)}
    models = {
        tables[one]: Model(
            table=tables[one],
            sql=found["compiled_code"],
            path=(PROJECT / found["original_file_path"]).as_posix(),
            needs=_needed(found, tables),
        )
        for one, found in sorted(nodes.items())
        if found["resource_type"] == "model"
    }
    checks: dict[str, set[str]] = {}
    for found in nodes.values():
        if found["resource_type"] == "test":
            attached = found.get("attached_node")
            for table in [tables[attached]] if attached in tables else _needed(found, tables):
                checks.setdefault(table, set()).add(_said(found))
    return Compiled(
        models={table: models[table] for table in _ordered(models)},
        checks={table: tuple(sorted(said)) for table, said in sorted(checks.items())},
    )


def _is_table(found: Mapping[str, Any]) -> bool:
    return found["resource_type"] in ("model", "source")


def _table(found: Mapping[str, Any]) -> str:
    name = found["identifier"] if found["resource_type"] == "source" else found["alias"]
    return f"{found['database']}.{found['schema']}.{name}".upper()


def _needed(found: Mapping[str, Any], tables: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted({tables[one] for one in found["depends_on"]["nodes"] if one in tables}))


def _said(test: Mapping[str, Any]) -> str:
    """A test as people say it: "week: not null", or the name of one that is written in SQL."""
    known = test.get("test_metadata")
    words = (known["name"] if known else test["name"]).replace("_", " ")
    return f"{test['column_name']}: {words}" if known and test.get("column_name") else words


def _ordered(models: Mapping[str, Model]) -> Sequence[str]:
    done: list[str] = []

    def add(table: str) -> None:
        if table in models and table not in done:
            for needed in models[table].needs:
                add(needed)
            done.append(table)

    for table in sorted(models):
        add(table)
    return done
