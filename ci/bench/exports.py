"""The export of a mart of five million rows as Parquet, against DuckDB writing the same from a table of its own."""

from __future__ import annotations

import threading
import time
import urllib.request
from pathlib import Path

import psutil

from infra.testing.api import KEY, Api, prepared
from leandata.database import connect
from leandata.serving import ensure_schema

TARGETS = {"export_to_duckdb": "at least 0.50", "export_again_to_duckdb": "at least 0.50"}
ROWS = 5_000_000
_ROUNDS = 2
_CHUNK = 1 << 20
_TABLE = """
CREATE TABLE serving.customer_days__bench AS SELECT (n % 200000 + 1)::bigint AS customer_id,
    date '1990-01-01' + (n / 200000)::int AS day, (1 + n % 3)::bigint AS orders, (1 + n % 7)::bigint AS units,
    (n * 7919 % 1000000 / 100.0)::numeric(14,2) AS revenue FROM generate_series(0::bigint, {last}) AS n;
CREATE VIEW serving.customer_days AS SELECT * FROM serving.customer_days__bench;
INSERT INTO serving.freshness VALUES ('sales.customer_days', 'bench', {rows}, '2026-11-22', now());
"""


def measure(folder: Path, *, rows: int = ROWS) -> dict[str, float]:
    """Seconds of the first export of a publication, of the next one, of DuckDB; and the process's memory in MB."""
    folder.chmod(0o755)
    with prepared(folder) as api, api.process() as process:
        with connect(api.serving) as connection:
            ensure_schema(connection)
            connection.execute(_TABLE.format(last=rows - 1, rows=rows).encode())
        memory = _Memory(process.pid)
        memory.start()
        first = _export(api, folder / "export.parquet")
        again = _export(api, folder / "export.parquet")
        most = memory.end()
    duckdb = _duckdb(folder, rows)
    return {
        "export_seconds": first,
        "export_again_seconds": again,
        "export_duckdb_seconds": duckdb,
        "export_memory_mb": most / 2**20,
        "export_to_duckdb": duckdb / first,
        "export_again_to_duckdb": duckdb / again,
    }


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
        self._stop_asked.set()
        self.join()
        return self._most
