"""The shop's seed: the real sales, moved by whole weeks, once."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from infra.standins.shop.seed import read, seed, weeks_to_move
from infra.testing import parts
from infra.testing.fixtures import TODAY, url_of
from leandata.clock import last_complete_week
from leandata.database import connect
from leandata.errors import LeandataError
from leandata.settings import DatabaseAddress


def test_the_source_is_what_its_readme_says() -> None:
    orders = read()
    assert len(orders) == 69_659
    assert len({order.customer_id for order in orders}) == 23_570
    assert min(order.ordered_on for order in orders) == date(1997, 1, 1)
    assert max(order.ordered_on for order in orders) == date(1998, 6, 30)
    assert sum(order.amount_usd == 0 for order in orders) == 80
    assert len(orders) - len(set(orders)) == 255


@pytest.mark.parametrize(
    "until", [date(2026, 11, 22), date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 29), date(2030, 1, 1)]
)
def test_the_last_sale_falls_into_the_last_complete_week_on_its_own_weekday(until: date) -> None:
    last = date(1998, 6, 30)
    moved = last + timedelta(weeks=weeks_to_move(last, until=until))
    week = last_complete_week(until)
    assert week.start <= moved <= week.end < until
    assert moved.weekday() == last.weekday()


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "customer_id,order_date,quantity,amount_usd\n1,1997-01-01,1,2.00\n1,1997-13-01,1,2.00\n"
    )
    with pytest.raises(LeandataError, match=r"cannot read an order.*\(x.csv:3\)"):
        read(tmp_path / "x.csv")


@pytest.mark.integration
def test_the_shop_holds_the_source_to_the_cent_and_is_seeded_once(shop_owner: DatabaseAddress) -> None:
    with connect(shop_owner) as connection:
        found = connection.execute(
            "SELECT count(*), sum(amount_usd), count(DISTINCT customer_id) FROM orders"
        ).fetchone()
        assert found == (69_659, sum((order.amount_usd for order in read()), Decimal(0)), 23_570)
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (23_570,)
        assert connection.execute("SELECT weeks_moved, until FROM seed").fetchone() == (1481, TODAY)
        assert seed(connection, until=TODAY + timedelta(weeks=4)) == 0, "a second seed changes nothing"


@pytest.mark.integration
@pytest.mark.parametrize("table", ["customers", "orders"])
def test_a_table_that_somebody_dropped_is_made_again_as_it_was(shop_owner: DatabaseAddress, table: str) -> None:
    everything = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
    with connect(shop_owner) as connection, connection.transaction(force_rollback=True):
        before = connection.execute(everything).fetchone()
        connection.execute(f"DROP TABLE {table}")
        assert seed(connection, until=TODAY + timedelta(weeks=4)) == 69_659
        assert connection.execute(everything).fetchone() == before, "its dates are moved as before"


@pytest.mark.integration
def test_the_command_says_what_it_did(postgres_server: parts.Postgres) -> None:
    address = url_of(postgres_server.database("shop_by_command", owner="shop_owner"))
    command = [sys.executable, "-m", "infra.standins.shop", "--database", address, "--until", "2026-11-24"]
    said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert said == ["seeded 69659 orders\n", "the shop was seeded before; nothing changed\n"]


@pytest.mark.parametrize(("option", "value"), [("--database", "mysql://x"), ("--until", "soon")])
def test_a_bad_option_is_one_clear_line(option: str, value: str) -> None:
    options = {"--database": "postgresql://a@127.0.0.1:9/b", "--until": "2026-11-24", option: value}
    command = [sys.executable, "-m", "infra.standins.shop", *(part for pair in options.items() for part in pair)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
