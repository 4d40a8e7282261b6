"""The layout of the warehouse: `python -m infra.jobs.warehouse --address ADDRESS --schema RAW.LAKE --stage NAME=URL`.

Databases and schemas are made where they are missing and kept otherwise; file formats and stages hold no data, and
are made anew each time.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import time
from collections.abc import Callable, Generator, Sequence

from leandata.errors import LeandataError, SettingsError, WarehouseError
from leandata.settings import WarehouseAddress
from leandata.warehouse import Warehouse

_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,62}"
_SCHEMA = re.compile(rf"{_NAME}\.{_NAME}")
_STAGE = re.compile(rf"({_NAME}\.{_NAME})\.({_NAME})=(.+)")
_PATIENCE = 120.0  # seconds in which a warehouse that is just starting is waited for


def statements(*, schemas: Sequence[str], stages: Sequence[str]) -> list[str]:
    """What makes the layout: `schemas` are DATABASE.SCHEMA, `stages` DATABASE.SCHEMA.STAGE=URL.

    The schema of a stage also gets the file format PARQUET. Raises SettingsError for a name that is none.
    """
    wrong = [schema for schema in schemas if not _SCHEMA.fullmatch(schema)]
    wrong += [stage for stage in stages if not _STAGE.fullmatch(stage)]
    if wrong:
        raise SettingsError(f"{wrong[0]!r} is neither DATABASE.SCHEMA nor DATABASE.SCHEMA.STAGE=URL")
    databases = sorted({schema.partition(".")[0] for schema in schemas})
    made = [f"CREATE DATABASE IF NOT EXISTS {database}" for database in databases]
    made += [f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in sorted(schemas)]
    for stage in sorted(stages):
        match = _STAGE.fullmatch(stage)
        assert match is not None
        schema, name, url = match.groups()
        quoted = url.replace("'", "''")
        made.append(f"CREATE OR REPLACE FILE FORMAT {schema}.PARQUET TYPE = PARQUET")
        made.append(f"CREATE OR REPLACE STAGE {schema}.{name} URL = '{quoted}'")
    return made


@contextlib.contextmanager
def reach(
    address: WarehouseAddress,
    *,
    patience: float = _PATIENCE,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Generator[Warehouse]:
    """A connection; a warehouse that is not there yet is waited for. Raises WarehouseError after `patience` seconds."""
    deadline = now() + patience
    with contextlib.ExitStack() as stack:
        while True:
            try:
                warehouse = stack.enter_context(Warehouse.connect(address))
                break
            except WarehouseError:
                if now() >= deadline:
                    raise
                pause(1.0)
        yield warehouse


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the layout; one line and status 1 when it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m infra.jobs.warehouse", description="Lay out the warehouse.")
    parser.add_argument("--address", required=True, help="snowflake://USER@ACCOUNT?host=...")
    parser.add_argument("--schema", action="append", default=[], help="DATABASE.SCHEMA; may be repeated")
    parser.add_argument("--stage", action="append", default=[], help="DATABASE.SCHEMA.STAGE=URL; may be repeated")
    options = parser.parse_args(arguments)
    try:
        made = statements(schemas=options.schema, stages=options.stage)
        with reach(WarehouseAddress.parse(options.address)) as warehouse:
            for statement in made:
                warehouse.execute(statement)
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(options.schema)} schemas and {len(options.stage)} stages are as declared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
