"""The computed half of the catalogue, as programs read it."""

from __future__ import annotations

from leandata.catalogue import Entry, entries
from leandata.datasets import CATALOG


def test_every_dataset_has_an_entry() -> None:
    assert list(entries()) == sorted(CATALOG)
    assert all(isinstance(one, Entry) for one in entries().values())


def test_weekly_sales_are_shown_by_a_route_and_the_mail() -> None:
    assert {"route GET /v1/sales/weekly", "mail weekly sales report"} <= set(entries()["sales.weekly_sales"].goes_into)
    assert "MARTS.SALES.CUSTOMER_DAYS" in entries()["sales.weekly_sales"].made_from


def test_orders_come_from_the_shop_and_have_checks() -> None:
    assert entries()["shop.orders"].made_from == ("source shop.orders",)
    assert "amount_usd: not null" in entries()["shop.orders"].checks
