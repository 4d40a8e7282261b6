"""The one client of the warehouse: time-outs, reconnection, retry on conflict, loads that happen once or not at all."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Self, TypeVar

from leandata.contract import Dataset
from leandata.errors import WarehouseError
from leandata.lake import Manifest
from leandata.rights import Guard, Rights
from leandata.settings import WarehouseAddress

if TYPE_CHECKING:
    import pyarrow as pa
    from snowflake.connector import SnowflakeConnection

_FILES_A_COPY = 1000  # Snowflake's limit of FILES = (...)
_TRIES = 8
_RECONNECTIONS = 3
_CONFLICTS = ("conflict", "transaction aborted", "lock timeout", "deadlock", "current transaction is aborted")
_LOST = ("290401", "401", "connection is closed", "failed to connect", "250001", "390114", "connection aborted")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadResult:
    """What a load did: rows now in its slices, and seconds."""

    rows: int
    seconds: float


class Warehouse:
    """A connection to the warehouse; made by `Warehouse.connect`."""

    def __init__(self, address: WarehouseAddress, *, timeout: int) -> None:
        self._address = address
        self._timeout = timeout
        self._connection: SnowflakeConnection | None = None
        rights = Rights.of(address)
        self._guard = None if rights is None else Guard(rights=rights)

    @classmethod
    @contextlib.contextmanager
    def connect(cls, address: WarehouseAddress, *, timeout: int = 60) -> Generator[Self]:
        """A client that is closed at the end; no request waits longer than `timeout` seconds for the network.

        Raises WarehouseError when the warehouse cannot be reached.
        """
        client = cls(address, timeout=timeout)
        try:
            client._open()
            yield client
        finally:
            client.close()

    def close(self) -> None:
        """Close the connection; no error when it is gone."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it touched. Raises WarehouseError."""
        with self._cursor(sql, params) as cursor:
            return cursor.rowcount or 0

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, as dictionaries with lower-case names. Raises WarehouseError."""
        with self._cursor(sql, params) as cursor:
            names = [column.name.lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def ensure(self, dataset: Dataset) -> None:
        """Make the dataset's table unless it is there; of two that make it at once, one tries again."""
        self.retried(lambda: self.execute(dataset.create_table_sql()))

    def table(self, dataset: Dataset) -> pa.Table:
        """All rows of the dataset, by its key, typed by its contract. Raises WarehouseError, and ContractError where a
        value is not of its type.
        """
        from leandata.tables import fitted

        names = [column.name for column in dataset.columns]
        sql = f"SELECT {', '.join(names)} FROM {dataset.warehouse_table} ORDER BY {', '.join(dataset.key)}"
        with self._cursor(sql, ()) as cursor:
            rows = cursor.fetch_arrow_all(force_return_table=True)
        return fitted(dataset, rows.rename_columns([name.lower() for name in rows.column_names]))

    def load(self, dataset: Dataset, slices: Mapping[date | None, Manifest], *, stage: str) -> LoadResult:
        """Put the published slices in place of what the table holds of them, in one transaction.

        BEGIN; DELETE the slices; COPY the manifests' files from `stage`; count; COMMIT. What goes wrong before the
        COMMIT leaves the table as it was. Two loads of one slice at once end as one of them. Raises WarehouseError.
        """
        started = time.monotonic()
        self.ensure(dataset)
        if not slices:
            return LoadResult(rows=0, seconds=time.monotonic() - started)
        rows = self.retried(lambda: self._load(dataset, slices, stage=stage))
        return LoadResult(rows=rows, seconds=time.monotonic() - started)

    def retried(self, act: Callable[[], Result]) -> Result:
        """Do it again, with growing pauses, when another writer was first or the connection was lost."""
        for attempt in range(1, _TRIES + 1):
            try:
                return act()
            except WarehouseError as error:
                again = worth_another_try(str(error))
                if not again or attempt == (_TRIES if again == "conflict" else _RECONNECTIONS):
                    raise
                logging.getLogger(__name__).info("warehouse, try %d: %s", attempt, error.what)
                time.sleep(random.uniform(0.5, 1.0) * min(5.0, 0.1 * 2**attempt))
                if again == "lost":
                    self._reopen()
        raise AssertionError("unreachable")

    # -- inside ----------------------------------------------------------------------------------------------------

    def _load(self, dataset: Dataset, slices: Mapping[date | None, Manifest], *, stage: str) -> int:
        expected = sum(manifest.rows for manifest in slices.values())
        files = [file for manifest in slices.values() for file in manifest.files]
        where = slice_condition(list(slices))
        self.execute(f"USE SCHEMA {dataset.warehouse_table.rpartition('.')[0]}")  # COPY needs a current schema
        self.execute("BEGIN")
        try:
            self.execute(f"DELETE FROM {dataset.warehouse_table}{where}")
            for statement in copy_statements(dataset, files, stage=stage):
                self.execute(statement)
            found = self.query(f"SELECT COUNT(*) AS n FROM {dataset.warehouse_table}{where}")[0]["n"]
            if int(found) != expected:
                hint = "Nothing was changed; collect the slices again"
                raise WarehouseError(
                    f"{found} rows arrived where {expected} were published", where=dataset.name, hint=hint
                )
            self.execute("COMMIT")
        except WarehouseError:
            with contextlib.suppress(WarehouseError):
                self.execute("ROLLBACK")
            raise
        return expected

    @contextlib.contextmanager
    def _cursor(self, sql: str, params: Sequence[Any]) -> Generator[Any]:
        if self._connection is None:
            self._open()
        assert self._connection is not None
        if self._guard is not None:
            self._guard.demand(sql)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, params or None)
                yield cursor
        except Exception as error:
            raise _explained(error, self._address) from error

    def _reopen(self) -> None:
        self.close()
        with contextlib.suppress(WarehouseError):
            self._open()

    def _open(self) -> None:
        import snowflake.connector

        from leandata.connector import ready

        logging.getLogger("snowflake.connector").setLevel(logging.CRITICAL)  # we raise what it would log
        ready()
        address = self._address
        if self._guard is not None:
            self._guard.current = ()
        options: dict[str, Any] = {
            "account": address.account,
            "user": address.user,
            "application": "leandata",
            "login_timeout": self._timeout,
            "network_timeout": self._timeout,
            "arrow_number_to_decimal": True,
            "session_parameters": {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False, "TIMEZONE": "UTC"},
        }
        named = {"host": address.host, "role": address.role, "warehouse": address.warehouse}
        options |= {name: value for name, value in named.items() if value}
        if address.host:
            options |= {"port": address.port, "protocol": address.protocol, "password": "none"}
        if address.private_key_file:
            options |= {"authenticator": "SNOWFLAKE_JWT", "private_key_file": str(address.private_key_file)}
        try:
            self._connection = snowflake.connector.connect(**options)
        except Exception as error:
            raise _explained(error, address) from error


def slice_condition(days: Sequence[date | None]) -> str:
    """The WHERE clause that holds the rows of these days; "" for a dataset without days."""
    if None in days:
        return ""
    return f" WHERE _dt IN ({_quoted(sorted(str(day) for day in days))})"


def copy_statements(dataset: Dataset, files: Sequence[str], *, stage: str) -> list[str]:
    """COPY statements for the files, at most a thousand each."""
    head = f"COPY INTO {dataset.warehouse_table} FROM @{stage}"
    tail = "FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
    chunks = [files[start : start + _FILES_A_COPY] for start in range(0, len(files), _FILES_A_COPY)]
    return [f"{head} FILES = ({_quoted(chunk)}) {tail}" for chunk in chunks]


def worth_another_try(text: str) -> str:
    """ "conflict" or "lost" when trying again may help; "" when it will not."""
    lower = text.lower()
    if any(sign in lower for sign in _CONFLICTS):
        return "conflict"
    return "lost" if any(sign in lower for sign in _LOST) else ""


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)


def _explained(error: Exception, address: WarehouseAddress) -> WarehouseError:
    if isinstance(error, WarehouseError):
        return error
    text = " ".join(str(getattr(error, "msg", None) or error).split())[:400]
    place = f"{address.host}:{address.port}" if address.host else address.account
    return WarehouseError(text or type(error).__name__, where=place)
