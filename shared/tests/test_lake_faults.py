"""The lake when things go wrong: full disks, closed folders, damaged manifests, killed writers, strange names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leandata.contract import Dataset
from leandata.datasets import CATALOG, dataset
from leandata.errors import LakeError
from leandata.lake import Lake
from leandata.tables import schema

ORDERS = dataset("shop.orders")
MONDAY = date(2026, 11, 16)
EXAMPLES: dict[str, Any] = {
    "date": MONDAY, "integer": 7, "bigint": 7, "text": "ü, \"quoted\"\n", "boolean": True,
    "decimal(9,6)": Decimal("0.000001"), "decimal(12,2)": Decimal("0.01"), "decimal(14,2)": Decimal("-0.01"),
}  # fmt: skip


def orders(count: int, *, day: date = MONDAY) -> pa.Table:
    rows = [
        {"customer_id": number, "ordered_on": day, "quantity": 1, "amount_usd": Decimal(number) / 100}
        for number in range(1, count + 1)
    ]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a lake with spaces, ü and %20"


@pytest.fixture
def lake(folder: Path) -> Lake:
    return Lake(f"file://{folder}")


def child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    head = """
    import sys, resource, signal
    from datetime import date
    from decimal import Decimal
    import pyarrow as pa
    from leandata.datasets import dataset
    from leandata.errors import LakeError
    from leandata.lake import Lake
    from leandata.tables import schema
    ORDERS = dataset("shop.orders")
    def orders(count):
        rows = [{"customer_id": n, "ordered_on": date(2026, 11, 16), "quantity": n % 997 + 1,
                 "amount_usd": Decimal(n * 7919 % 99991) / 100} for n in range(1, count + 1)]
        return pa.Table.from_pylist(rows, schema=schema(ORDERS))
    lake = Lake("file://" + sys.argv[1])
    """
    text = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("contract", CATALOG.values(), ids=lambda found: found.name)
def test_every_dataset_goes_into_the_lake_and_comes_back_the_same(lake: Lake, contract: Dataset) -> None:
    row = {column.name: EXAMPLES[column.type] for column in contract.columns}
    table = pa.Table.from_pylist([row, row], schema=schema(contract))
    (manifest,) = lake.publish(contract, {MONDAY if contract.partition else None: table}, run="r1")
    again = lake.read(manifest, contract)
    assert again.schema == schema(contract, stored=True)
    assert again.select(table.column_names).to_pylist() == [row, row]
    assert manifest.rows == 2
    assert lake.latest(contract) == {MONDAY if contract.partition else None: manifest}


def test_a_disk_that_fills_up_in_mid_write_is_one_line_and_publishes_nothing(folder: Path, lake: Lake) -> None:
    lake.publish(ORDERS, {MONDAY: orders(3)}, run="before")
    answer = child(
        """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            lake.publish(ORDERS, {date(2026, 11, 16): orders(50_000)}, run="during")
        except LakeError as error:
            print(error)
        """,
        str(folder),
    )
    assert answer.stdout.startswith("the lake refused a file: "), answer.stderr
    assert answer.stdout.count("\n") == 1
    assert "shop/orders/dt=2026-11-16/during.parquet" in answer.stdout
    assert lake.latest(ORDERS)[MONDAY].run == "before"
    lake.publish(ORDERS, {MONDAY: orders(4)}, run="after")
    assert lake.latest(ORDERS)[MONDAY].rows == 4


def test_a_writer_killed_between_file_and_manifest_has_published_nothing(folder: Path, lake: Lake) -> None:
    answer = child(
        """
        import os
        create = Lake._create
        def killed(self, path, data):
            if path.startswith("_manifest"):
                os.kill(os.getpid(), signal.SIGKILL)
            return create(self, path, data)
        Lake._create = killed
        lake.publish(ORDERS, {date(2026, 11, 16): orders(10)}, run="r1")
        """,
        str(folder),
    )
    assert answer.returncode == -signal.SIGKILL
    assert (folder / "shop" / "orders" / "dt=2026-11-16" / "r1.parquet").exists()
    assert lake.latest(ORDERS) == {}
    lake.publish(ORDERS, {MONDAY: orders(10)}, run="r1")
    assert lake.latest(ORDERS)[MONDAY].rows == 10, "the same run again finishes the work"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"text"', "{}", '{"files": 7}', '{"files": [], "colour": "red"}', '{"dataset": "x"}'],
)
def test_a_damaged_manifest_is_named_with_what_to_do(folder: Path, lake: Lake, text: str) -> None:
    lake.publish(ORDERS, {MONDAY: orders(1)}, run="r1")
    path = folder / "_manifest" / "shop" / "orders" / "dt=2026-11-16" / "r1.json"
    path.write_text(text)
    with pytest.raises(LakeError, match=r"a manifest is damaged \(file://.*r1\.json\)\. Remove it, and collect"):
        lake.latest(ORDERS)


def test_a_published_file_that_is_lost_is_named(folder: Path, lake: Lake) -> None:
    (manifest,) = lake.publish(ORDERS, {MONDAY: orders(1)}, run="r1")
    (folder / manifest.files[0]).unlink()
    with pytest.raises(LakeError, match=r"a published file is lost.*r1\.parquet"):
        lake.read(manifest, ORDERS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; run the tests as an ordinary user to see it")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(LakeError):
        Lake(f"file://{tmp_path}/closed/lake").publish(ORDERS, {MONDAY: orders(1)}, run="r1")


def test_a_place_where_no_lake_can_be_is_named() -> None:
    with pytest.raises(LakeError, match=r"the lake cannot be opened.*file:///proc/nothing/here"):
        Lake("file:///proc/nothing/here")


@pytest.mark.parametrize("url", ["s4://bucket/prefix", "ftp://host", "nonsense"])
def test_an_address_of_no_lake_is_refused(url: str) -> None:
    with pytest.raises(LakeError, match="the lake cannot be opened"):
        Lake(url)


@pytest.mark.parametrize(
    "run", ["", ".hidden", "-x", "a/b", "../x", "a b", "ü", "x" * 122, "a\n", "a\0", "dt=1", "a:b", "a'b"]
)
def test_a_run_that_would_lead_elsewhere_is_refused_before_anything_is_written(folder: Path, run: str) -> None:
    with pytest.raises(LakeError, match="cannot name a run"):
        Lake(f"file://{folder}").publish(ORDERS, {MONDAY: orders(1)}, run=run)
    assert not list(folder.rglob("*.parquet"))


@pytest.mark.parametrize("run", ["r", "2026-11-24T10.00.00", "scheduled__2026-11-24", "A.b-c_d", "x" * 121])
def test_a_run_s_usual_names_are_taken(lake: Lake, run: str) -> None:
    (manifest,) = lake.publish(ORDERS, {MONDAY: orders(1)}, run=run)
    assert manifest.files == (f"shop/orders/dt=2026-11-16/{run}.parquet",)


def test_two_days_of_one_run_are_published_in_the_order_of_their_days(lake: Lake) -> None:
    days = [MONDAY + timedelta(days=offset) for offset in (5, 0, 3, 1)]
    made = lake.publish(ORDERS, {day: orders(1, day=day) for day in days}, run="r1")
    assert [manifest.day for manifest in made] == sorted(days)
    assert list(lake.latest(ORDERS)) == sorted(days)


def test_the_file_of_a_slice_holds_just_the_contract_s_columns(folder: Path, lake: Lake) -> None:
    (manifest,) = lake.publish(ORDERS, {MONDAY: orders(5)}, run="r1")
    file = pq.read_table(folder / manifest.files[0])
    assert file.column_names == [column.name for column in ORDERS.stored]
    assert (folder / manifest.files[0]).stat().st_size == manifest.bytes


def test_a_manifest_is_sorted_json_that_people_can_read(folder: Path, lake: Lake) -> None:
    lake.publish(ORDERS, {MONDAY: orders(5)}, run="r1")
    text = (folder / "_manifest" / "shop" / "orders" / "dt=2026-11-16" / "r1.json").read_text()
    found = json.loads(text)
    assert list(found) == sorted(found)
    assert found["rows"] == 5
    assert found["dt"] == "2026-11-16"


def test_a_schema_that_changes_is_seen_in_the_manifest(lake: Lake) -> None:
    first = lake.publish(ORDERS, {MONDAY: orders(1)}, run="r1")[0]
    other = lake.publish(dataset("quarantine.rows"), {MONDAY: _quarantined()}, run="r1")[0]
    again = lake.publish(ORDERS, {MONDAY: orders(2)}, run="r2")[0]
    assert first.schema == again.schema
    assert first.schema != other.schema


def _quarantined() -> pa.Table:
    row = {"dataset": "shop.orders", "reason": "quantity is below 1", "row_json": "{}"}
    return pa.Table.from_pylist([row], schema=schema(dataset("quarantine.rows")))


def test_datasets_with_names_alike_do_not_see_each_other(lake: Lake) -> None:
    lake.publish(ORDERS, {MONDAY: orders(1)}, run="r1")
    assert lake.manifests(dataset("sales.daily_sales")) == []
    assert lake.manifests(dataset("shop.customers")) == []


@settings(max_examples=25, deadline=None)
@given(
    slices=st.dictionaries(st.dates(date(2025, 1, 1), date(2027, 1, 1)), st.integers(0, 5), min_size=1, max_size=6),
    runs=st.lists(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True), min_size=1, max_size=3, unique=True),
)
def test_whatever_is_published_the_newest_of_each_day_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, slices: dict[date, int], runs: list[str]
) -> None:
    lake = Lake(f"file://{tmp_path_factory.mktemp('any')}")
    for number, run in enumerate(runs):
        lake.publish(ORDERS, {day: orders(count + number, day=day) for day, count in slices.items()}, run=run)
    newest = lake.latest(ORDERS)
    assert list(newest) == sorted(slices)
    assert {manifest.run for manifest in newest.values()} == {runs[-1]}
    for day, manifest in newest.items():
        table = lake.read(manifest, ORDERS)
        assert table.num_rows == manifest.rows == slices[day] + len(runs) - 1
        assert set(table.column("_dt").to_pylist()) <= {day}
        assert table.column("_row").to_pylist() == list(range(table.num_rows))
