"""Tables of a database, at any address that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchTableError, SQLAlchemyError

from leandata.errors import DatabaseError
from leandata.settings import read_secret
from pipelines.sources.arriving import table_of
from pipelines.sources.declaration import SqlTable


@contextmanager
def opened(address: str) -> Generator[sa.Connection]:
    """A connection; `?password_file=PATH` in the address is where the password lies. Raises DatabaseError."""
    try:
        url = sa.make_url(address)
        secret = url.query.get("password_file")
        if secret:
            password = read_secret(Path(str(secret)))
            url = url.difference_update_query(["password_file"]).set(password=password)
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        shown = url.render_as_string(hide_password=True)
    except (ArgumentError, SQLAlchemyError, ImportError) as error:
        raise DatabaseError(f"the source's address is not one: {_line(error)}") from error
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise DatabaseError(f"the source refused: {_line(error)}", where=shown) from error
    finally:
        engine.dispose()


def first_day(connection: sa.Connection, part: SqlTable) -> date | None:
    """The first day that the table has, None where it is empty."""
    column = sa.column(part.day_column)
    found = connection.execute(sa.select(sa.func.min(column)).select_from(_table(part))).scalar()
    return day_of(found)


def read(
    connection: sa.Connection, part: SqlTable, *, days: Sequence[date] = (), strays: bool = False, today: date
) -> pa.Table:
    """The rows of these neighbouring days, all rows without days; with `strays` also those of no day or of the future.

    Sorted, so that the same rows give the same file.
    """
    types = _columns(connection, part)
    names = list(types)
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
    asked = sa.select(*columns).select_from(_table(part)).order_by(*columns)
    if days:
        day: sa.ColumnClause[Any] = sa.column(part.day_column)
        bound = _bounds(types.get(part.day_column))
        inside = sa.and_(day >= bound(days[0]), day < bound(days[-1] + timedelta(days=1)))
        beyond = sa.or_(day.is_(None), day >= bound(today + timedelta(days=1)))
        asked = asked.where(sa.or_(inside, beyond) if strays else inside)
    rows = [dict(zip(names, row, strict=True)) for row in connection.execute(asked)]
    return table_of(rows, columns=names)


def _bounds(kind: Any) -> Callable[[date], date]:
    """How the beginning of a day is said to a column: as a day, or as a time, in UTC where its type has a zone."""
    if not isinstance(kind, sa.DateTime):
        return lambda day: day
    zone = UTC if kind.timezone else None
    return lambda day: datetime(day.year, day.month, day.day, tzinfo=zone)


def _columns(connection: sa.Connection, part: SqlTable) -> dict[str, Any]:
    """The type of each column, by its name."""
    try:
        found = sa.inspect(connection).get_columns(_table(part).name, schema=_table(part).schema)
    except NoSuchTableError as error:
        raise DatabaseError(f"the source has no table {part.table}") from error
    return {str(column["name"]): column["type"] for column in found}


def _table(part: SqlTable) -> sa.TableClause:
    schema, _, name = part.table.rpartition(".")
    return sa.table(name, schema=schema or None)


def day_of(value: Any) -> date | None:
    """The day of a value, in UTC where it says its zone; None where it is no day."""
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).date()
    if isinstance(value, str):
        try:
            return date.fromisoformat(value[:10])
        except ValueError:
            return None
    return value if isinstance(value, date) else None


def _line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300]
