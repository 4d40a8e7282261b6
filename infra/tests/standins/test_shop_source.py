"""The shop's seed against an independent reading of its source: nothing lost, nothing changed but the dates."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.standins.shop.seed import SOURCE, Order, read, seed, weeks_to_move
from infra.testing import parts
from leandata.clock import Week, last_complete_week
from leandata.database import connect
from leandata.errors import LeandataError
from leandata.settings import DatabaseAddress

HEADER = "customer_id,order_date,quantity,amount_usd\n"
LAST = date(1998, 6, 30)


@pytest.fixture(scope="module")
def lines() -> list[dict[str, str]]:
    with SOURCE.open(newline="") as file:
        return list(csv.DictReader(file))


def cents(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int((rest + "00")[:2])


def test_every_line_of_the_source_is_an_order(lines: list[dict[str, str]]) -> None:
    orders = read()
    assert len(orders) == len(lines) == 69_659
    assert sum(int(order.amount_usd * 100) for order in orders) == sum(cents(line["amount_usd"]) for line in lines)
    assert sum(order.quantity for order in orders) == sum(int(line["quantity"]) for line in lines)
    assert len({order.customer_id for order in orders}) == 23_570


def test_the_source_has_identical_lines_and_they_are_all_kept(lines: list[dict[str, str]]) -> None:
    counted = Counter(tuple(line.values()) for line in lines)
    extra = sum(count - 1 for count in counted.values())
    assert extra == 255
    assert sum(count - 1 for count in Counter(read()).values()) == extra


def test_amounts_are_exact_cents(lines: list[dict[str, str]]) -> None:
    for order, line in zip(read(), lines, strict=True):
        assert order.amount_usd == Decimal(cents(line["amount_usd"])) / 100
        assert order.amount_usd.as_tuple().exponent >= -2


@given(st.dates(date(1999, 1, 1), date(2100, 1, 1)))
def test_dates_move_by_whole_weeks_into_the_last_complete_week(until: date) -> None:
    moved = LAST + timedelta(weeks=weeks_to_move(LAST, until=until))
    assert moved.weekday() == LAST.weekday()
    assert Week.of(moved) == last_complete_week(until)
    assert moved < until


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,1997-01-01,1,1.00", "cannot read an order: "),
        ("1,1997-13-01,1,1.00", "cannot read an order: "),
        ("1,01/01/1997,1,1.00", "cannot read an order: "),
        ("1,1997-01-01,one,1.00", "cannot read an order: "),
        ("1,1997-01-01,1,a dollar", "cannot read an order: "),
        ("1,1997-01-01,1", "cannot read an order: "),
    ],
)
def test_a_line_that_is_no_order_is_named_by_its_number(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.csv").write_text(f"{HEADER}1,1997-01-01,1,1.00\n{text}\n")
    with pytest.raises(LeandataError) as caught:
        read(tmp_path / "s.csv")
    assert said in str(caught.value)
    assert "s.csv:3" in str(caught.value)


def test_a_source_without_lines_has_no_orders(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(HEADER)
    assert read(tmp_path / "s.csv") == []


def test_an_order_is_a_value() -> None:
    one = Order(customer_id=1, ordered_on=LAST, quantity=1, amount_usd=Decimal("1.00"))
    assert one == Order(customer_id=1, ordered_on=LAST, quantity=1, amount_usd=Decimal("1.00"))
    assert len({one, one}) == 1


@pytest.mark.integration
@pytest.mark.parametrize("until", [date(2026, 11, 24), date(2027, 1, 4), date(2028, 3, 1)])
def test_the_database_holds_the_source_week_by_week(
    postgres_server: parts.Postgres, lines: list[dict[str, str]], until: date
) -> None:
    owner = postgres_server.database(f"shop_{until:%Y%m%d}", owner="seed_owner")
    with connect(owner) as connection:
        assert seed(connection, until=until) == 69_659
        assert seed(connection, until=until) == 0, "a second time nothing is done"
    moved = timedelta(weeks=weeks_to_move(LAST, until=until))
    expected: dict[date, list[int]] = defaultdict(lambda: [0, 0, 0])
    for line in lines:
        week = expected[Week.of(date.fromisoformat(line["order_date"]) + moved).start]
        week[0] += 1
        week[1] += cents(line["amount_usd"])
        week[2] += int(line["quantity"])
    with connect(owner) as connection:
        rows = connection.execute(
            "SELECT date_trunc('week', ordered_on)::date, count(*), sum(amount_usd), sum(quantity) FROM orders GROUP BY 1"
        ).fetchall()
        customers = connection.execute("SELECT count(*), min(created_on) FROM customers").fetchone()
    assert {day: [count, int(total * 100), units] for day, count, total, units in rows} == dict(expected)
    assert customers == (23_570, date(1997, 1, 1) + moved)


@pytest.mark.integration
def test_of_two_seeds_at_once_one_fills_the_shop(postgres_server: parts.Postgres) -> None:
    from concurrent.futures import ThreadPoolExecutor

    owner: DatabaseAddress = postgres_server.database("shop_twice", owner="seed_owner")

    def fill(_: int) -> int:
        with connect(owner) as connection:
            return seed(connection, until=date(2026, 11, 24))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(fill, range(2))) == [0, 69_659]
