"""Seed the shop: `python -m infra.standins.shop --database postgresql://... [--until 2026-11-24]`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime

from infra.standins.shop.seed import seed
from leandata.database import connect
from leandata.errors import LeandataError
from leandata.settings import DatabaseAddress


def main() -> int:
    """Seed once; a second time changes nothing."""
    parser = argparse.ArgumentParser(prog="python -m infra.standins.shop", description=__doc__)
    parser.add_argument("--database", required=True, help="postgresql://ROLE@host:port/shop?password_file=PATH")
    parser.add_argument(
        "--until", default="today", help="the last sale falls into the last complete week before this day"
    )
    options = parser.parse_args()
    try:
        until = datetime.now(UTC).date() if options.until == "today" else date.fromisoformat(options.until)
        with connect(DatabaseAddress.parse(options.database)) as connection:
            count = seed(connection, until=until)
    except (LeandataError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"seeded {count} orders" if count else "the shop was seeded before; nothing changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
