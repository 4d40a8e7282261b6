"""A hundred times the orders: what the whole history takes and holds in memory, against the real orders."""

from __future__ import annotations

from pathlib import Path

from ci.bench.pipelines import peak, world
from leandata.database import connect
from leandata.settings import DatabaseAddress

TIMES = 100
TARGETS = {
    f"size_{TIMES}_to_1": "at most 15",
    f"size_{TIMES}_memory_gb": "at most 4",
}
_STEP = "SELECT max(customer_id) FROM customers"
_GROW = (
    """
INSERT INTO orders SELECT customer_id + %(step)s * copy, ordered_on, quantity, amount_usd
FROM orders, generate_series(1, %(more)s) AS copy
""",
    """
INSERT INTO customers SELECT customer_id + %(step)s * copy, created_on
FROM customers, generate_series(1, %(more)s) AS copy
""",
)


def measure(folder: Path, *, times: int = TIMES) -> dict[str, float]:
    """Seconds and memory (GB, with both databases) of the whole history, once and `times` over, and their ratio."""
    figures: dict[str, float] = {}
    for factor in (1, times):
        place = folder / f"times-{factor}"
        place.mkdir()
        place.chmod(0o755)
        with world(place) as found:
            grow(found.shop, times=factor)
            with peak() as memory:
                figures[f"size_{factor}_seconds"] = found.daily("history")
            figures[f"size_{factor}_memory_gb"] = memory() / 1e9
    figures[f"size_{times}_to_1"] = figures[f"size_{times}_seconds"] / figures["size_1_seconds"]
    return figures


def grow(shop: DatabaseAddress, *, times: int) -> None:
    """Give the shop `times` as many customers; each new one orders as one that was there does."""
    with connect(shop) as connection:
        row = connection.execute(_STEP).fetchone()
        for statement in _GROW:
            connection.execute(statement, {"step": row[0] if row else 0, "more": times - 1})
        connection.execute("ANALYZE")
