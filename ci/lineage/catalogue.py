"""The catalogue of datasets, made from contracts, dbt and lineage: a page of docs/, and a file for the dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ci.lineage.graph import Lineage, table_of, tables_of
from leandata.contract import Column, Dataset
from leandata.datasets import CATALOG

PAGE = "docs/catalogue.md"
FILE = "shared/leandata/catalogue.json"


def page(lineage: Lineage) -> str:
    """The page, in Markdown: the way of the data as a picture, then every dataset."""
    return "\n".join(
        [
            "# Catalogue of datasets",
            "",
            "Written by `make catalogue` from the contracts (`leandata.datasets`), dbt's tests and computed lineage.",
            "",
            *_picture(lineage),
            "",
            *(line for one in _sorted() for line in _dataset(one, lineage)),
        ]
    )


def file(lineage: Lineage) -> str:
    """The same for programs: checks, and what comes before and after each dataset, by its name."""
    answer = {
        one.name: {
            "checks": list(lineage.checks.get(one.warehouse_table, ())),
            "made_from": before(one, lineage),
            "goes_into": after(one, lineage),
        }
        for one in _sorted()
    }
    return json.dumps({"version": 1, "datasets": answer}, indent=1, sort_keys=True) + "\n"


def before(one: Dataset, lineage: Lineage) -> list[str]:
    """The tables and sources that a dataset is made from, sorted."""
    return sorted(source for source, made in tables_of(lineage.edges) if made == one.warehouse_table)


def after(one: Dataset, lineage: Lineage) -> list[str]:
    """The tables that are made from a dataset, and the routes, pages and mails that show it, sorted."""
    pairs = tables_of(lineage.edges)
    served = f"serving.{one.table}"
    own = {made for source, made in pairs if source == one.warehouse_table} - {served}
    shown = {made for source, made in pairs if source == served} if one.layer == "MARTS" else set[str]()
    return sorted(own | shown)


def _sorted() -> list[Dataset]:
    layers = ("RAW", "STAGING", "MARTS", "MODELS")
    return sorted(CATALOG.values(), key=lambda one: (layers.index(one.layer), one.name))


def _picture(lineage: Lineage) -> Iterable[str]:
    """A flow chart as Mermaid draws it (GitHub shows it); what serves and who shows it are one box each."""
    pairs = {(_box(source), _box(made)) for source, made in tables_of(lineage.edges)}
    pairs = {pair for pair in pairs if pair[0] != pair[1]}
    boxes = sorted({one for pair in pairs for one in pair})
    number = {box: f"n{place}" for place, box in enumerate(boxes)}
    yield from ("```mermaid", "flowchart LR")
    yield from (f'    {number[box]}["{box}"]' for box in boxes)
    yield from (f"    {number[source]} --> {number[made]}" for source, made in sorted(pairs))
    yield "```"


def _box(node: str) -> str:
    if node.startswith("serving."):
        table = node.removeprefix("serving.")
        return next(
            (one.warehouse_table for one in CATALOG.values() if one.layer == "MARTS" and one.table == table), node
        )
    return node


def _dataset(one: Dataset, lineage: Lineage) -> Iterable[str]:
    hours = one.freshness.total_seconds() / 3600
    yield from (f"## {one.name}", "", one.description, "")
    yield from ("| | |", "| --- | --- |")
    yield f"| Table | `{one.warehouse_table}` |"
    yield f"| Owner | {one.owner} |"
    yield f"| Key | {', '.join(f'`{name}`' for name in one.key)} |"
    yield f"| Freshness | never older than {hours:g} hours |"
    yield f"| Classification | {classification(one)} |"
    yield f"| Made from | {_list(before(one, lineage))} |"
    yield f"| Goes into | {_list(after(one, lineage))} |"
    yield f"| Checks | {_list(lineage.checks.get(one.warehouse_table, ()), code=False)} |"
    yield ""
    yield from ("| column | type | what it is | made from |", "| --- | --- | --- | --- |")
    yield from (_column(one, column, lineage) for column in one.stored)
    yield ""


def classification(one: Dataset) -> str:
    """The strictest of a dataset and its columns."""
    return (
        "personal" if "personal" in {one.classification, *(each.classification for each in one.stored)} else "internal"
    )


def _column(one: Dataset, column: Column, lineage: Lineage) -> str:
    made = lineage.before(f"{one.warehouse_table}.{column.name.upper()}")
    shown = sorted({table_of(each) for each in made}) if len(made) > 4 else made
    empty = ", may be empty" if column.nullable else ""
    return f"| `{column.name}` | {column.type}{empty} | {column.description} | {_list(shown)} |"


def _list(names: Iterable[str], *, code: bool = True) -> str:
    return ", ".join(f"`{name}`" if code else name for name in names) or "-"
