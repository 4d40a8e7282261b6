"""The export of a mart of five million rows as Parquet, against DuckDB writing the same from a table of its own.

Also with the time that its publication takes to make the file, and of a publication that has none.
"""

from __future__ import annotations

import io
import threading
import time
import urllib.request
from pathlib import Path

import psutil

from infra.testing.api import KEY, Api, prepared
from leandata.database import connect
from leandata.datasets import dataset
from leandata.serving import ensure_schema, keep_file

TARGETS = {
    "export_to_duckdb": "at least 0.50",
    "export_again_to_duckdb": "at least 0.50",
    "export_memory_mb": "at most 384",
}
ROWS = 5_000_000
_ROUNDS = 2
_CHUNK = 1 << 20
_MART = dataset("sales.customer_days")
_ROWS = """
SELECT (n % 200000 + 1)::bigint AS customer_id, date '1990-01-01' + (n // 200000)::int AS day,
    (1 + n % 3)::bigint AS orders, (1 + n % 7)::bigint AS units,
    (n * 7919 % 1000000 / 100.0)::decimal(14,2) AS revenue FROM range(0, {rows}) AS numbers(n)
"""
_TABLE = """
CREATE TABLE serving.customer_days__bench ({columns});
CREATE VIEW serving.customer_days AS SELECT * FROM serving.customer_days__bench;
INSERT INTO serving.freshness VALUES ('sales.customer_days', 'bench', {rows}, '2026-11-22', now());
"""


def measure(folder: Path, *, rows: int = ROWS) -> dict[str, float]:
    """Seconds of the first export of a publication, of the next one, of DuckDB; and the process's memory in MB."""
    folder.chmod(0o755)
    with prepared(folder) as api:
        made = _publish(api, rows)
        with api.process() as process:
            memory = _Memory(process.pid)
            memory.start()
            first = _export(api, folder / "export.parquet")
            again = _export(api, folder / "export.parquet")
            most = memory.end()
        duckdb = _duckdb(folder, rows)
        with connect(api.serving) as connection:
            connection.execute("DELETE FROM serving.files")
        with api.process():
            by_rows = _export(api, folder / "rows.parquet")
    return {
        "export_seconds": first,
        "export_again_seconds": again,
        "export_making_seconds": made,
        "export_by_rows_seconds": by_rows,
        "export_duckdb_seconds": duckdb,
        "export_memory_mb": most / 2**20,
        "export_to_duckdb": duckdb / first,
        "export_again_to_duckdb": duckdb / again,
        "export_with_making_to_duckdb": duckdb / (first + made),
        "export_by_rows_to_duckdb": duckdb / by_rows,
    }


def _publish(api: Api, rows: int) -> float:
    """Publish the mart: its rows faster than a publication does, its file as it does; seconds that the file took."""
    import duckdb
    from pyarrow import csv

    with duckdb.connect() as plain:
        table = plain.sql(_ROWS.format(rows=rows)).to_arrow_table()
    with connect(api.serving) as connection:
        ensure_schema(connection)
        connection.execute(_TABLE.format(columns=_MART.postgres_columns(), rows=rows).encode())
        with connection.cursor().copy("COPY serving.customer_days__bench FROM STDIN (FORMAT csv)") as copy:
            for batch in table.to_batches(max_chunksize=100_000):
                text = io.BytesIO()
                csv.write_csv(batch, text, csv.WriteOptions(include_header=False))
                copy.write(text.getvalue())
        started = time.perf_counter()
        keep_file(connection, _MART, table, version="bench")
        connection.commit()
        return time.perf_counter() - started


def _export(api: Api, place: Path) -> float:
    url = f"{api.url}/v1/datasets/sales.customer_days/export?format=parquet"
    started = time.perf_counter()
    request = urllib.request.Request(url, headers={"X-API-Key": KEY})
    with urllib.request.urlopen(request, timeout=600) as answer, place.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
    return time.perf_counter() - started


def _duckdb(folder: Path, rows: int) -> float:
    """The best of two. Raises AssertionError when the export does not hold all rows."""
    import duckdb

    with duckdb.connect(str(folder / "plain.duckdb")) as connection:
        connection.execute("CREATE TABLE days AS SELECT * FROM read_parquet(?)", [str(folder / "export.parquet")])
        connection.execute("CHECKPOINT")
        assert connection.execute("SELECT count(*) FROM days").fetchone() == (rows,)
        took: list[float] = []
        for number in range(_ROUNDS):
            started = time.perf_counter()
            connection.execute(f"COPY days TO '{folder / str(number)}.parquet' (FORMAT parquet, COMPRESSION snappy)")
            took.append(time.perf_counter() - started)
    return min(took)


class _Memory(threading.Thread):
    """The most resident memory that a process had."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._process = psutil.Process(pid)
        self._stop_asked = threading.Event()
        self._most = 0

    def run(self) -> None:
        while not self._stop_asked.wait(0.05):
            self._most = max(self._most, self._process.memory_info().rss)

    def end(self) -> int:
        """Bytes."""
        self._most = max(self._most, self._process.memory_info().rss)
        self._stop_asked.set()
        self.join()
        return self._most
