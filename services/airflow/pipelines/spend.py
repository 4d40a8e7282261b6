"""What the warehouses used of credits, noted for the page Platform every night. One machine meters nothing."""

from __future__ import annotations

from decimal import Decimal

from leandata import serving
from leandata.database import Connection, connect
from leandata.serving import Spend
from leandata.settings import Settings
from leandata.warehouse import Warehouse

_DAYS = 35
# Hours come up to three hours late, and are corrected: days that were read before are read again.
_METERED = f"""
SELECT warehouse_name AS warehouse, CAST(start_time AS DATE) AS day, SUM(credits_used) AS credits
FROM SNOWFLAKE.ACCOUNT_USAGE.WAREHOUSE_METERING_HISTORY
WHERE start_time >= DATEADD('day', -{_DAYS}, CURRENT_DATE()) AND warehouse_name IS NOT NULL
GROUP BY warehouse_name, CAST(start_time AS DATE)
ORDER BY warehouse_name, day
"""


def run(settings: Settings) -> list[Spend]:
    """Read what was metered and write it down; nothing where the warehouse is the stand-in.

    Raises WarehouseError, also when the role may not read what was metered.
    """
    if settings.warehouse.host:
        return []
    with Warehouse.connect(settings.warehouse) as warehouse, connect(settings.serving) as connection:
        return note(warehouse, connection)


def note(warehouse: Warehouse, connection: Connection) -> list[Spend]:
    """Read what the account of `warehouse` metered and put it in place of what was known of these days."""
    found = [
        Spend(warehouse=row["warehouse"], day=row["day"], credits=round(Decimal(row["credits"]), 6))
        for row in warehouse.query(_METERED)
    ]
    serving.record_spend(connection, found)
    connection.commit()
    return found
