"""The catalogue: every dataset with its owner, columns, checks, and its place in the data's way."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ci import cli
from ci.lineage import catalogue
from ci.lineage.graph import Lineage
from ci.verbs import catalogue as verb
from leandata.contract import Column
from leandata.datasets import CATALOG, dataset

SALES = "MARTS.SALES.WEEKLY_SALES"
LINEAGE = Lineage(
    edges=frozenset(
        {
            ("source shop.orders.amount_usd", "RAW.SHOP.ORDERS.AMOUNT_USD"),
            ("RAW.SHOP.ORDERS.AMOUNT_USD", f"{SALES}.REVENUE"),
            (f"{SALES}.REVENUE", "serving.weekly_sales.revenue"),
            ("serving.weekly_sales.revenue", "route GET /v1/sales/weekly"),
            ("serving.weekly_sales.revenue", "page /sales"),
        }
    ),
    checks={SALES: ("week: unique",)},
)


def section(name: str) -> str:
    return catalogue.page(LINEAGE).split(f"## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_dataset_has_a_section_with_owner_key_and_all_its_columns(name: str) -> None:
    text, one = section(name), dataset(name)
    assert f"| Owner | {one.owner} |" in text
    assert f"`{one.warehouse_table}`" in text
    assert all(f"| `{column.name}` | {column.type}" in text for column in one.stored)
    assert all(f"`{column}`" in text for column in one.key)


def test_a_dataset_says_where_it_comes_from_and_who_shows_it() -> None:
    text = section("sales.weekly_sales")
    assert "| Made from | `RAW.SHOP.ORDERS` |" in text
    assert "| Goes into | `page /sales`, `route GET /v1/sales/weekly` |" in text
    assert "| Checks | week: unique |" in text
    assert "| `revenue` | decimal(14,2) | US dollars of all orders | `RAW.SHOP.ORDERS.AMOUNT_USD` |" in text


def test_the_picture_has_one_box_for_a_mart_and_what_serves_it() -> None:
    picture = catalogue.page(LINEAGE).split("```mermaid")[1].split("```")[0]
    assert f'["{SALES}"]' in picture
    assert "serving." not in picture
    assert picture.count("-->") == 4


def test_one_personal_column_makes_a_dataset_personal() -> None:
    one = dataset("sales.customers")
    mail = Column(name="mail", type="text", description="Where to write to", classification="personal")
    assert catalogue.classification(dataclasses.replace(one, columns=(*one.columns, mail))) == "personal"
    assert catalogue.classification(dataset("sales.weekly_sales")) == "internal"


def test_the_file_for_programs_has_the_same() -> None:
    answer = json.loads(catalogue.file(LINEAGE))
    assert answer["version"] == 1
    assert answer["datasets"]["sales.weekly_sales"] == {
        "checks": ["week: unique"],
        "made_from": ["RAW.SHOP.ORDERS"],
        "goes_into": ["page /sales", "route GET /v1/sales/weekly"],
    }


@pytest.mark.integration
def test_the_verb_writes_both_files_and_says_when_they_are_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (catalogue.PAGE, catalogue.FILE):
        (tmp_path / name).parent.mkdir(parents=True)
    monkeypatch.setattr(verb, "ROOT", tmp_path)
    monkeypatch.setattr(verb, "lineage", lambda root: LINEAGE)
    assert cli.run(["catalogue", "--check"]) == 1
    assert f"error: {catalogue.PAGE} is not what `make catalogue` writes" in capsys.readouterr().out
    assert cli.run(["catalogue"]) == 0
    assert "wrote" in capsys.readouterr().out
    assert cli.run(["catalogue", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differing"] == []
