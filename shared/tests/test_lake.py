"""The lake: write-once files, the manifest last."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from leandata.datasets import dataset
from leandata.errors import LakeError
from leandata.lake import Lake
from leandata.tables import schema

ORDERS = dataset("shop.orders")
CUSTOMERS = dataset("shop.customers")
MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)


def orders(*amounts: str, day: date = MONDAY) -> pa.Table:
    rows = [{"customer_id": 1, "ordered_on": day, "quantity": 1, "amount_usd": Decimal(amount)} for amount in amounts]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(f"file://{tmp_path / 'la ke'}")


def files(lake: Lake) -> list[str]:
    root = Path(lake.url.removeprefix("file://"))
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_slice_is_a_file_and_a_manifest_by_day(lake: Lake) -> None:
    lake.publish(ORDERS, {MONDAY: orders("1.10", "2.20")}, run="r1")
    assert files(lake) == ["_manifest/shop/orders/dt=2026-11-16/r1.json", "shop/orders/dt=2026-11-16/r1.parquet"]


def test_what_is_published_is_read_back_to_the_cent_with_its_origin(lake: Lake) -> None:
    manifest = lake.publish(ORDERS, {MONDAY: orders("1.10", "2.20")}, run="r1")[0]
    rows = lake.read(manifest, ORDERS).to_pylist()
    assert [row["amount_usd"] for row in rows] == [Decimal("1.10"), Decimal("2.20")]
    assert [(row["_dt"], row["_run"], row["_row"]) for row in rows] == [(MONDAY, "r1", 0), (MONDAY, "r1", 1)]


def test_a_day_without_rows_has_a_manifest_and_no_file(lake: Lake) -> None:
    manifest = lake.publish(ORDERS, {MONDAY: orders()}, run="r1")[0]
    assert manifest.files == ()
    assert lake.read(manifest, ORDERS).num_rows == 0
    assert list(lake.latest(ORDERS)) == [MONDAY]


def test_the_newest_manifest_of_a_day_counts(lake: Lake) -> None:
    lake.publish(ORDERS, {MONDAY: orders("1.00"), TUESDAY: orders("2.00", day=TUESDAY)}, run="r1")
    lake.publish(ORDERS, {MONDAY: orders("3.00", "4.00")}, run="r2")
    latest = lake.latest(ORDERS)
    assert {day: (manifest.run, manifest.rows) for day, manifest in latest.items()} == {
        MONDAY: ("r2", 2),
        TUESDAY: ("r1", 1),
    }
    assert len(lake.manifests(ORDERS)) == 3


def test_the_same_run_again_finds_its_own_work(lake: Lake) -> None:
    first = lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1")
    second = lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1")
    assert second == first
    assert len(files(lake)) == 2


def test_a_slice_that_is_to_be_kept_stays_while_its_rows_are_the_same(lake: Lake) -> None:
    first = lake.publish(ORDERS, {MONDAY: orders("1.00", "2.00"), TUESDAY: orders()}, run="r1", keep=True)
    second = lake.publish(ORDERS, {MONDAY: orders("1.00", "2.00"), TUESDAY: orders()}, run="r2", keep=True)
    assert second == first
    assert len(files(lake)) == 3
    third = lake.publish(ORDERS, {MONDAY: orders("2.00", "1.00"), TUESDAY: orders()}, run="r3", keep=True)
    assert [manifest.run for manifest in third] == ["r3", "r1"], "rows have an order"


def test_what_is_noted_of_a_slice_and_how_its_contract_types_it_are_kept_with_it_or_not_at_all(lake: Lake) -> None:
    lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1", keep=True)
    runs = [lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r2", notes=["column:x"], keep=True)[0].run]
    runs += [lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r3", taken=["a.csv"], keep=True)[0].run]
    wider = [replace(one, type="bigint") if one.name == "quantity" else one for one in ORDERS.columns]
    contract = replace(ORDERS, columns=tuple(wider))
    runs += [lake.publish(contract, {MONDAY: orders("1.00")}, run="r4", keep=True)[0].run]
    assert runs == ["r2", "r3", "r4"]


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no parquet PAR1"], ids=["lost", "empty", "damaged"])
def test_a_slice_whose_file_is_lost_or_damaged_is_not_kept(lake: Lake, content: bytes | None) -> None:
    (manifest,) = lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1", keep=True)
    place = Path(lake.url.removeprefix("file://")) / manifest.files[0]
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    (again,) = lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r2", keep=True)
    assert lake.read(again, ORDERS).num_rows == 1
    assert again.run == "r2"


def test_a_file_without_a_manifest_was_never_published(lake: Lake, tmp_path: Path) -> None:
    lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1")
    (tmp_path / "la ke" / "_manifest" / "shop" / "orders" / "dt=2026-11-16" / "r1.json").unlink()
    assert lake.latest(ORDERS) == {}


def test_a_dataset_without_days_has_one_slice(lake: Lake) -> None:
    table = pa.Table.from_pylist([{"customer_id": 1, "created_on": MONDAY}], schema=schema(CUSTOMERS))
    lake.publish(CUSTOMERS, {None: table}, run="r1")
    assert lake.latest(CUSTOMERS)[None].dt == "all"


def test_of_many_writers_of_one_name_one_wins_and_all_agree(lake: Lake) -> None:
    found: list[int] = []

    def publish(amount: int) -> None:
        found.append(lake.publish(ORDERS, {MONDAY: orders(*["1.00"] * amount)}, run="r1")[0].rows)

    threads = [threading.Thread(target=publish, args=[amount]) for amount in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(lake.manifests(ORDERS)) == 1


def test_a_lost_file_is_named(lake: Lake, tmp_path: Path) -> None:
    manifest = lake.publish(ORDERS, {MONDAY: orders("1.00")}, run="r1")[0]
    (tmp_path / "la ke" / manifest.files[0]).unlink()
    with pytest.raises(LakeError, match=r"a published file is lost.*r1.parquet"):
        lake.read(manifest, ORDERS)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", "a b", "x" * 200])
def test_a_name_that_cannot_be_a_run_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(LakeError, match="cannot name a run"):
        lake.publish(ORDERS, {MONDAY: orders("1.00")}, run=name)


def test_a_manifest_says_how_much_there_is(lake: Lake) -> None:
    manifest = lake.publish(ORDERS, {MONDAY: orders("1.00", "2.00")}, run="r1")[0]
    assert manifest.rows == 2
    assert manifest.bytes > 100
    assert len(manifest.schema) == 16
    assert manifest.day == MONDAY
