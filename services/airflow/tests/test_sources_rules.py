"""What arrives from a source, held against its contract; and declarations that are no declarations."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leandata.contract import Column, Dataset, written
from leandata.errors import ContractError, SettingsError
from pipelines.collect import Chunk
from pipelines.sources import files
from pipelines.sources.arriving import judge, table_of
from pipelines.sources.collecting import Work, came
from pipelines.sources.declaration import Files, Source, load, names

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COLUMNS = """
[[columns]]
name = "campaign"
type = "text"
description = "What it is called"

[[columns]]
name = "day"
type = "date"
description = "The day"

[[columns]]
name = "spend"
type = "decimal(12,2)"
description = "US dollars"
minimum = 0

[[columns]]
name = "at"
type = "timestamp"
description = "When it was booked"
nullable = true
"""
HEAD = 'name = "ads.spend"\nowner = "t"\ndescription = "d"\nkey = ["campaign", "day"]\nfreshness_hours = 26\n'


def contract(folder: Path, text: str = HEAD + 'partition = "day"\n' + COLUMNS, name: str = "ads.spend") -> Dataset:
    (folder / f"{name}.toml").write_text(text)
    return written(folder)[0]


@pytest.fixture
def spend(tmp_path: Path) -> Dataset:
    return contract(tmp_path)


def row(**other: Any) -> dict[str, Any]:
    return {"campaign": "c", "day": "2026-11-20", "spend": "1.50", "at": None, **other}


def csv(*rows: Mapping[str, Any], delimiter: str = ",") -> bytes:
    lines = [delimiter.join(rows[0]), *(delimiter.join(str(value or "") for value in one.values()) for one in rows)]
    return ("\n".join(lines) + "\n").encode()


# -- contracts that are files ------------------------------------------------------------------------------------------


def test_a_contract_is_a_file_and_has_a_place_for_columns_that_it_does_not_know(spend: Dataset) -> None:
    assert (spend.warehouse_table, spend.partition, spend.freshness) == ("RAW.ADS.SPEND", "day", timedelta(hours=26))
    assert [column.name for column in spend.loaded] == ["_dt", "_run", "_row", "_extra"]
    assert spend.columns[2] == Column(name="spend", type="decimal(12,2)", description="US dollars", minimum=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml", "is no contract"),
        (HEAD, "'columns'"),
        (HEAD.replace("key", "keys") + COLUMNS, "'key'"),
        (HEAD + 'partition = "nothing"\n' + COLUMNS, "name, key or partition"),
        (HEAD.replace('"campaign", "day"', '"nothing"') + COLUMNS, "name, key or partition"),
        (HEAD.replace("ads.spend", "ads.other") + COLUMNS, "name, key or partition"),
        (HEAD + COLUMNS.replace('"text"', '"string"'), "no type string"),
        (HEAD + 'strange = "x"\n' + COLUMNS, "strange"),
    ],
)
def test_what_is_no_contract_is_said_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ContractError, match=r"^ads\.spend\.toml is no contract") as error:
        contract(tmp_path, text)
    assert said in str(error.value)


# -- what arrived ------------------------------------------------------------------------------------------------------


def test_rows_that_keep_the_contract_are_typed_and_others_are_set_apart_with_reasons(spend: Dataset) -> None:
    found = judge(spend, table_of([row(), row(spend="-1"), row(day="no day"), row(campaign=None)]))
    assert [one.as_py() for one in found.good["day"]] == [date(2026, 11, 20)]
    assert found.reasons == (
        "spend is below 0",
        "day is no date",
        "campaign is null",
    )
    assert found.bad.num_rows == 3
    assert (found.refused, found.new) == ("", ())


def test_a_new_column_is_kept_beside_as_json_and_named(spend: Dataset) -> None:
    found = judge(spend, table_of([row(channel="mail", clicks=3), row(spend="-1", channel="x")]))
    assert found.new == ("channel", "clicks")
    assert [json.loads(one.as_py()) for one in found.good["_extra"]] == [{"channel": "mail", "clicks": 3}]


def test_without_new_columns_nothing_is_kept_beside(spend: Dataset) -> None:
    assert judge(spend, table_of([row()])).good["_extra"].to_pylist() == [None]


def test_a_column_that_is_gone_refuses_everything(spend: Dataset) -> None:
    rows = [{key: value for key, value in row().items() if key != "spend"} for _ in range(4)]
    found = judge(spend, table_of(rows))
    assert (found.refused, found.good.num_rows, found.bad.num_rows) == ("the column spend is gone", 0, 4)


def test_a_column_of_another_type_refuses_everything_and_a_few_wrong_values_do_not(spend: Dataset) -> None:
    other = judge(spend, table_of([row(spend="cheap"), row(spend="dear"), row(spend="free"), row()]))
    assert other.refused == "the column spend is no decimal(12,2) any more: 3 of 4 values"
    assert other.good.num_rows == 0
    few = judge(spend, table_of([row(spend="cheap"), row(spend="dear"), *[row()] * 6]))
    assert (few.refused, few.good.num_rows, few.bad.num_rows) == ("", 6, 2)


@pytest.mark.parametrize(
    ("said", "timezone", "expected"),
    [
        ("2026-11-20T10:00:00Z", "", "2026-11-20 10:00:00+00:00"),
        ("2026-11-20T10:00:00+02:00", "", "2026-11-20 08:00:00+00:00"),
        ("2026-11-20T10:00:00", "", None),
        ("2026-11-20T10:00:00", "Europe/Berlin", "2026-11-20 09:00:00+00:00"),
        ("2026-07-20T10:00:00", "Europe/Berlin", "2026-07-20 08:00:00+00:00"),
        ("2026-03-29T02:30:00", "Europe/Berlin", None),
        ("2026-10-25T02:30:00", "Europe/Berlin", None),
        ("2026-10-25T02:30:00+01:00", "Europe/Berlin", "2026-10-25 01:30:00+00:00"),
        ("yesterday", "Europe/Berlin", None),
        (datetime(2026, 11, 20, 10), "", None),  # noqa: DTZ001 - a database that says no zone
        (datetime(2026, 11, 20, 10), "America/New_York", "2026-11-20 15:00:00+00:00"),  # noqa: DTZ001
    ],
)
def test_a_time_is_taken_only_where_it_is_certain_which_one_it_is(
    spend: Dataset, said: Any, timezone: str, expected: str | None
) -> None:
    found = judge(spend, table_of([row(at=said)]), timezone=timezone)
    assert [str(one) for one in found.good["at"].to_pylist()] == ([expected] if expected else [])
    assert list(found.reasons) == ([] if expected else ["at is no timestamp"])


def test_rows_whose_values_mix_become_text_and_are_judged_one_by_one(spend: Dataset) -> None:
    found = judge(spend, table_of([row(spend=1), row(spend="two"), row(spend=3), row(spend=4)]))
    assert (found.good.num_rows, found.bad.num_rows) == (3, 1)


def test_nothing_arrived_is_nothing_wrong(spend: Dataset) -> None:
    found = judge(spend, table_of([], columns=[column.name for column in spend.columns]))
    assert (found.good.num_rows, found.refused) == (0, "")


# -- files -------------------------------------------------------------------------------------------------------------


def part(**more: Any) -> Files:
    return Files(**{"dataset": "ads.spend", "paths": "*", "format": "csv", **more})


def test_a_file_is_read_in_its_own_format() -> None:
    rows = [row(), row(campaign="d, e")]
    quoted = csv(rows[0]) + b'"d, e",2026-11-20,1.50,\n'
    lines = "\n".join(json.dumps(one) for one in rows).encode()
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    found = [
        files.parse(quoted, part()).to_pylist(),
        files.parse(lines, part(format="jsonl")).to_pylist(),
        files.parse(buffer.getvalue(), part(format="parquet")).to_pylist(),
    ]
    assert found == [rows, rows, rows]


def test_a_csv_of_another_delimiter_and_encoding_is_read() -> None:
    data = csv(row(campaign="Käse"), delimiter=";").decode().encode("cp1252")
    assert files.parse(data, part(delimiter=";", encoding="cp1252"))["campaign"].to_pylist() == ["Käse"]
    assert files.parse(b"\xef\xbb\xbf" + csv(row()), part()).column_names[0] == "campaign"


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (b"", {}),
        (csv(row(campaign="Käse")).decode().encode("cp1252"), {}),
        (b"a,a\n1,2\n", {}),
        (b"a,b\n1\n", {}),
        (b"a,b\n1,2\n", {"encoding": "no such encoding"}),
        (b'{"a": 1}\n{"a": ', {"format": "jsonl"}),
        (b"[1, 2]\n", {"format": "jsonl"}),
        (b"\n\n", {"format": "jsonl"}),
        (b"PAR1 and no more", {"format": "parquet"}),
        (csv(row()), {"format": "parquet"}),
    ],
)
def test_a_file_that_is_none_of_its_kind_is_said(data: bytes, more: dict[str, Any]) -> None:
    with pytest.raises(files.UnreadableError, match="it is "):
        files.parse(data, part(**more))


def test_files_that_somebody_may_still_be_writing_wait() -> None:
    def dropped(path: str, seconds: float) -> files.Dropped:
        return files.Dropped(path=path, size=1, changed=NOW - timedelta(seconds=seconds))

    lying = [dropped("a.csv", 61), dropped("b.csv", 59), dropped("c.csv.part", 900), dropped("x/.d.csv", 900), dropped("x/_e.csv", 900)]  # fmt: skip
    assert [one.path for one in files.whole(lying, now=NOW, settle_seconds=60)] == ["a.csv"]


# -- declarations ------------------------------------------------------------------------------------------------------

GOOD = """
kind = "{kind}"
connection = "ads"
owner = "marketing"
description = "What the ads cost."
schedule = "0 4 * * *"

[[part]]
dataset = "shop.orders"
{part}
"""


def declared(folder: Path, kind: str, part: str) -> Source:
    (folder / "ads.toml").write_text(GOOD.format(kind=kind, part=part))
    return load("ads", folder)


def test_a_declaration_of_each_kind_is_read(tmp_path: Path) -> None:
    assert declared(tmp_path, "sql", 'table = "ads.spend"\ncursor = "changed_at"').parts[0].window == 7  # pyright: ignore
    assert declared(tmp_path, "files", 'paths = "*.csv"\nformat = "csv"').parts[0].kind == "files"
    http = declared(tmp_path, "http", 'path = "spend"\nsince = "2026-01-01"\n[part.query]\nday = "{day}"').parts[0]
    assert http.daily  # pyright: ignore
    assert names(tmp_path) == ["ads"]


@pytest.mark.parametrize(
    ("kind", "part", "said"),
    [
        ("sql", "", "table"),
        ("sql", 'table = "t"\nby = "a"\ncursor = "b"', "two ways"),
        ("sql", 'table = "t"\nsince = "soon"', "since|isoformat"),
        ("sql", 'table = "t"\nstrange = 1', "strange"),
        ("files", 'paths = "*"\nformat = "xlsx"', "format"),
        ("http", 'path = "x/{day}"', "isoformat"),
        ("ftp", 'path = "x"', "kind|ftp"),
    ],
)
def test_what_is_no_declaration_is_said_with_file_and_key(tmp_path: Path, kind: str, part: str, said: str) -> None:
    with pytest.raises(SettingsError, match=rf"ads\.toml.*({said})"):
        declared(tmp_path, kind, part)


def test_a_source_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ads\.toml cannot be read"):
        load("ads", tmp_path)


def test_every_declared_source_can_be_loaded_and_has_its_contracts() -> None:
    assert all(source.contract(part) for source in map(load, names()) for part in source.parts)


def test_work_is_the_same_after_it_was_handed_on() -> None:
    work = Work(part=1, chunk=Chunk(days=(date(2026, 11, 1), date(2026, 11, 2)), strays=True))
    assert Work.of(json.loads(json.dumps(work.plain()))) == work


@pytest.mark.parametrize(
    ("changed", "rows", "expected"),
    [([False, False], 0, False), ([], 0, False), ([False, True], 0, True), ([False], 3, True), ([True], 9, True)],
)
def test_what_follows_runs_where_something_came_or_was_left_unloaded(
    changed: list[bool], rows: int, expected: bool
) -> None:
    assert came([{"changed": one} for one in changed], {"ads.spend": 0, "quarantine.rows": rows}) is expected
