"""Ten million rows of TPC-H lineitem from Parquet files into the stand-in warehouse, against DuckDB's own reading."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from infra.testing import parts
from leandata.warehouse import Warehouse

_SCALE = "1.67"
_PARTS = 8
_DUCKDB = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
started = time.monotonic()
connection.execute("CREATE TABLE lineitem AS SELECT * FROM read_parquet(?)", [sys.argv[2]])
connection.execute("CHECKPOINT")
print(time.monotonic() - started)
"""
_TABLE = """
CREATE OR REPLACE TABLE RAW.SHOP.LINEITEM (
    L_ORDERKEY NUMBER(18,0), L_PARTKEY NUMBER(18,0), L_SUPPKEY NUMBER(18,0), L_LINENUMBER NUMBER(9,0),
    L_QUANTITY NUMBER(15,2), L_EXTENDEDPRICE NUMBER(15,2), L_DISCOUNT NUMBER(15,2), L_TAX NUMBER(15,2),
    L_RETURNFLAG VARCHAR, L_LINESTATUS VARCHAR, L_SHIPDATE DATE, L_COMMITDATE DATE, L_RECEIPTDATE DATE,
    L_SHIPINSTRUCT VARCHAR, L_SHIPMODE VARCHAR, L_COMMENT VARCHAR)
"""


def measure(folder: Path) -> dict[str, float]:
    """Seconds of both, rows, and the ratio of their speeds (1.0 = as quick as DuckDB itself)."""
    raw = folder / "raw"
    raw.mkdir()
    (folder / "curated").mkdir()
    tool = str(Path(sys.executable).with_name("tpchgen-cli"))
    command = [tool, "parquet", "-s", _SCALE, "--tables=lineitem", f"--parts={_PARTS}", "-o", str(raw)]
    subprocess.run(command, check=True, capture_output=True)
    files = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*.parquet"))
    pattern = str(raw / "**" / "*.parquet")
    duckdb = [
        float(
            subprocess.run(
                [str(parts.STANDIN_PYTHON), "-c", _DUCKDB, str(folder / f"plain{attempt}.duckdb"), pattern],
                check=True, capture_output=True, text=True,
            ).stdout.split()[-1]
        )
        for attempt in range(2)
    ]  # fmt: skip
    zones = {zone: f"file://{folder / zone}" for zone in ("raw", "curated")}
    with parts.warehouse(folder, zones=zones) as standin, Warehouse.connect(standin.address, timeout=300) as warehouse:
        warehouse.execute("USE SCHEMA RAW.SHOP")
        loads: list[float] = []
        rows = 0
        for _ in range(2):
            warehouse.execute(_TABLE)
            started = time.monotonic()
            warehouse.execute("BEGIN")
            names = ", ".join(f"'{name}'" for name in files)
            warehouse.execute(
                f"COPY INTO RAW.SHOP.LINEITEM FROM @RAW.LAKE.FILES FILES = ({names})"
                " FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
            )
            warehouse.execute("COMMIT")
            loads.append(time.monotonic() - started)
            rows = int(warehouse.query("SELECT COUNT(*) AS n FROM RAW.SHOP.LINEITEM")[0]["n"])
    return {
        "duckdb_seconds": min(duckdb),
        "load_rows": float(rows),
        "load_seconds": min(loads),
        "load_to_duckdb": min(duckdb) / min(loads),
    }
