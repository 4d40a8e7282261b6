"""The warehouse's functions in Python: what each answers, and that SQL answers the same."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from typing import Any

import pytest

from infra.components.functions import functions
from infra.environment import ROOT
from infra.testing import parts
from leandata.warehouse import Warehouse
from pipelines.functions.segment import segment

SCORES = range(1, 6)


@pytest.mark.parametrize(
    ("recency", "frequency", "orders", "name"),
    [
        (5, 4, 9, "champions"),
        (4, 4, 1, "champions"),
        (3, 4, 9, "loyal"),
        (4, 3, 1, "new"),
        (4, 3, 2, "promising"),
        (3, 3, 1, "promising"),
        (2, 4, 9, "at_risk"),
        (2, 3, 2, "hibernating"),
        (1, 3, 2, "lost"),
        (1, 5, 30, "at_risk"),
    ],
)
def test_a_segment_is_the_first_rule_that_fits(recency: int, frequency: int, orders: int, name: str) -> None:
    assert segment(recency, frequency, orders) == name


def test_every_file_of_the_folder_is_the_function_that_python_imports() -> None:
    found = functions(ROOT)
    assert [one.handler for one in found] == ["segment"]
    for one in found:
        module = importlib.import_module(f"pipelines.functions.{one.handler}")
        assert callable(getattr(module, one.handler))
        assert one.comment == getattr(module, one.handler).__doc__.splitlines()[0]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Generator[Warehouse]:
    with (
        parts.warehouse(tmp_path_factory.mktemp("functions")) as standin,
        Warehouse.connect(standin.address) as found,
    ):
        found.execute("CREATE DATABASE IF NOT EXISTS STAGING")
        found.execute("CREATE SCHEMA IF NOT EXISTS STAGING.SHOP")
        found.execute("USE SCHEMA STAGING.SHOP")
        yield found


@pytest.mark.integration
def test_sql_names_the_segment_that_python_names_for_all_scores(client: Warehouse) -> None:
    rows: list[dict[str, Any]] = client.query(
        "SELECT r.range AS recency, f.range AS frequency, o.range AS orders,"
        " STAGING.SHOP.SEGMENT(r.range, f.range, o.range) AS segment"
        " FROM range(1, 6) AS r, range(1, 6) AS f, range(1, 4) AS o"
    )
    found = {(row["recency"], row["frequency"], row["orders"]): row["segment"] for row in rows}
    assert found == {(r, f, o): segment(r, f, o) for r in SCORES for f in SCORES for o in range(1, 4)}
    assert len(set(found.values())) == 7
