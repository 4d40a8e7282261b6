"""The SQL that the warehouse's client writes, and how it reads failures."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from leandata.contract import Dataset
from leandata.datasets import CATALOG, dataset
from leandata.errors import WarehouseError
from leandata.settings import WarehouseAddress
from leandata.warehouse import Warehouse, copy_statements, slice_condition, worth_another_try

DAY = date(2026, 11, 16)


@pytest.mark.parametrize("contract", CATALOG.values(), ids=lambda found: found.name)
@pytest.mark.parametrize(("files", "statements"), [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (2500, 3)])
def test_every_file_is_copied_once_and_a_thousand_at_most_in_one_statement(
    contract: Dataset, files: int, statements: int
) -> None:
    names = [f"f{number}.parquet" for number in range(files)]
    made = copy_statements(contract, names, stage="RAW.LAKE.FILES")
    assert len(made) == statements
    copied = [name for statement in made for name in names if f"'{name}'" in statement]
    assert sorted(copied) == sorted(names)
    for statement in made:
        assert statement.startswith(f"COPY INTO {contract.warehouse_table} FROM @RAW.LAKE.FILES FILES = (")
        assert "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE" in statement
        assert "FORCE = TRUE" in statement, "a file that was loaded before is loaded again after its slice was deleted"


@pytest.mark.parametrize(
    ("days", "condition"),
    [
        ([None], ""),
        ([DAY], " WHERE _dt IN ('2026-11-16')"),
        ([DAY + timedelta(days=1), DAY], " WHERE _dt IN ('2026-11-16', '2026-11-17')"),
    ],
)
def test_the_rows_of_some_days_are_named_sorted(days: list[date | None], condition: str) -> None:
    assert slice_condition(days) == condition


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("Transaction conflict on update", "conflict"),
        ("TransactionContext Error: Conflict on tuple deletion!", "conflict"),
        ("Current transaction is aborted (please ROLLBACK)", "conflict"),
        ("Lock timeout after 30 s", "conflict"),
        ("deadlock detected", "conflict"),
        ("290401: 401 Unauthorized", "lost"),
        ("250001: Failed to connect to DB", "lost"),
        ("390114: Authentication token has expired", "lost"),
        ("Connection is closed", "lost"),
        ("Connection aborted.", "lost"),
        ("SQL compilation error: Object 'X' does not exist", ""),
        ("Numeric value 'abc' is not recognized", ""),
        ("Insufficient privileges to operate on table", ""),
        ("", ""),
    ],
)
def test_only_a_conflict_or_a_lost_connection_is_tried_again(text: str, worth: str) -> None:
    assert worth_another_try(text) == worth


class Recorder(Warehouse):
    """The client with its statements written down instead of sent; `fails` maps a statement's start to errors."""

    def __init__(self, *, counted: int = 0, fails: dict[str, list[str]] | None = None) -> None:
        super().__init__(WarehouseAddress(account="a", user="u"), timeout=1)
        self.statements: list[str] = []
        self.reopened = 0
        self._counted = counted
        self._fails = fails or {}

    def execute(self, sql: str, params: Any = ()) -> int:
        del params
        self.statements.append(sql)
        for start, errors in self._fails.items():
            if sql.startswith(start) and errors:
                raise WarehouseError(errors.pop(0))
        return 0

    def query(self, sql: str, params: Any = ()) -> list[dict[str, Any]]:
        self.execute(sql, params)
        return [{"n": self._counted}]

    def _reopen(self) -> None:
        self.reopened += 1

    @property
    def verbs(self) -> list[str]:
        return [statement.split()[0] for statement in self.statements]


def manifest(rows: int, *, day: date = DAY, files: int = 1) -> Any:
    from leandata.lake import Manifest

    return Manifest(
        dataset="shop.orders", dt=day.isoformat(), run="r", files=tuple(f"f{day}-{n}" for n in range(files)), rows=rows,
        bytes=1, schema="s", created="2026-11-24T00:00:00+00:00",
    )  # fmt: skip


ORDERS = dataset("shop.orders")
WHOLE = ["CREATE", "USE", "BEGIN", "DELETE", "COPY", "SELECT", "COMMIT"]


def test_a_load_is_one_transaction_around_delete_and_copy() -> None:
    client = Recorder(counted=3)
    assert client.load(ORDERS, {DAY: manifest(3)}, stage="S").rows == 3
    assert client.verbs == WHOLE
    assert client.statements[3] == "DELETE FROM RAW.SHOP.ORDERS WHERE _dt IN ('2026-11-16')"


def test_a_slice_without_rows_is_emptied() -> None:
    client = Recorder(counted=0)
    assert client.load(ORDERS, {DAY: manifest(0, files=0)}, stage="S").rows == 0
    assert client.verbs == [verb for verb in WHOLE if verb != "COPY"]


def test_no_slices_at_all_change_nothing() -> None:
    client = Recorder()
    assert client.load(ORDERS, {}, stage="S").rows == 0
    assert client.verbs == ["CREATE"]


@pytest.mark.parametrize("arrived", [0, 2, 4])
def test_another_number_of_rows_than_was_published_is_rolled_back_and_said(arrived: int) -> None:
    client = Recorder(counted=arrived)
    with pytest.raises(WarehouseError, match=f"{arrived} rows arrived where 3 were published"):
        client.load(ORDERS, {DAY: manifest(3)}, stage="S")
    assert client.verbs[-1] == "ROLLBACK"
    assert "COMMIT" not in client.verbs


@pytest.mark.parametrize("start", ["USE", "BEGIN", "DELETE", "COPY", "SELECT", "COMMIT"])
def test_a_conflict_at_any_statement_is_rolled_back_and_done_again_from_the_start(start: str) -> None:
    client = Recorder(counted=3, fails={start: ["Conflict on tuple deletion"]})
    assert client.load(ORDERS, {DAY: manifest(3)}, stage="S").rows == 3
    assert client.verbs[-6:] == WHOLE[1:], "the last try is whole"
    if start not in ("USE", "BEGIN"):
        assert "ROLLBACK" in client.verbs


@pytest.mark.parametrize("start", ["DELETE", "COPY", "SELECT", "COMMIT"])
def test_a_lost_connection_is_made_again_and_the_load_repeated(start: str) -> None:
    client = Recorder(counted=3, fails={start: ["Connection aborted."]})
    assert client.load(ORDERS, {DAY: manifest(3)}, stage="S").rows == 3
    assert client.reopened == 1
    assert client.verbs[-6:] == WHOLE[1:]


@pytest.mark.parametrize("start", ["CREATE", "DELETE", "COPY", "SELECT"])
def test_an_error_that_stays_is_raised_at_once(start: str) -> None:
    client = Recorder(counted=3, fails={start: ["SQL compilation error"] * 9})
    with pytest.raises(WarehouseError, match="SQL compilation error"):
        client.load(ORDERS, {DAY: manifest(3)}, stage="S")
    assert client.verbs.count(start) == 1


def test_a_connection_that_stays_lost_is_given_up() -> None:
    client = Recorder(counted=3, fails={"COPY": ["Connection is closed"] * 99})
    with pytest.raises(WarehouseError, match="Connection is closed"):
        client.load(ORDERS, {DAY: manifest(3)}, stage="S")
    assert client.verbs.count("COPY") == 3


def test_a_key_pair_is_handed_over_by_its_file_and_never_read_by_us(tmp_path: Path) -> None:
    address = WarehouseAddress.parse(f"snowflake://u@127.0.0.1?private_key_file={tmp_path}/missing.p8")
    with pytest.raises(WarehouseError), Warehouse.connect(address, timeout=1):
        pass
