"""The whole way of a column: source, lake and warehouse, serving database, then routes, pages and mails."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ci.lineage.code import Code, Function, code
from ci.lineage.columns import ROWS, Edge, edges, read_columns
from ci.lineage.compiled import Compiled, compiled
from leandata.contract import Dataset
from leandata.datasets import CATALOG
from leandata.errors import LeandataError

_SERVING = "leandata.serving"
_CONTRACTS = "leandata.datasets"
_QUARANTINE = "quarantine.rows"
_PAGES = "dashboards.pages."
_REPORT = "pipelines.report."


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """Edges from what is read to what is made of it.

    Nodes are `source shop.orders.amount_usd`, columns of the warehouse in capitals, `serving.weekly_sales.revenue`,
    `route GET /v1/...`, `page /sales`, `mail weekly sales report`.
    """

    edges: frozenset[Edge]
    checks: Mapping[str, tuple[str, ...]]

    @property
    def nodes(self) -> list[str]:
        """Every node, sorted."""
        return sorted({one for edge in self.edges for one in edge})

    def named(self, what: str) -> list[str]:
        """The nodes that `what` names, whole or by their last parts; of a table all columns.

        Raises LeandataError where there is none.
        """
        whole = what.strip().lower()
        asked = whole.replace("/", ".")  # a dataset may be said as its place in the lake
        found = [one for one in self.nodes if _matches(one.lower(), whole) or _matches(one.lower(), asked)]
        if not found:
            last = {one.lower().rpartition(".")[2]: one for one in self.nodes}
            near = sorted(last[one] for one in difflib.get_close_matches(asked.rpartition(".")[2], last, n=3))
            such = "Such as MARTS.SALES.WEEKLY_SALES.REVENUE, weekly_sales, /v1/sales/weekly, mail"
            hint = f"Near it are: {', '.join(near)}" if near else such
            raise LeandataError(f"nothing is called {what!r}", hint=hint)
        return found

    def before(self, node: str) -> list[str]:
        """What it is made from directly, sorted."""
        return list(_neighbours(self.edges)[0].get(node, ()))

    def after(self, node: str) -> list[str]:
        """What is made from it directly, sorted."""
        return list(_neighbours(self.edges)[1].get(node, ()))


@functools.cache
def _neighbours(edges: frozenset[Edge]) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """What comes right before each node, and right after it."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for source, made in sorted(edges):
        before.setdefault(made, []).append(source)
        after.setdefault(source, []).append(made)
    return (
        {node: tuple(found) for node, found in before.items()},
        {node: tuple(found) for node, found in after.items()},
    )


def lineage(root: Path) -> Lineage:
    """Compute it for the checkout at `root`: dbt's compiled SQL, the readers' queries, the code that calls them."""
    found, read = compiled(root), code(root)
    served = {f"serving.{one.table}": one for one in CATALOG.values() if one.layer == "MARTS"}
    made = set(edges(found, CATALOG.values())) | _rows(found) | _collected() | _published(served)
    made |= _by_code(read, found) | _used(read, served)
    return Lineage(edges=frozenset(made), checks=found.checks)


def tables_of(edges_: Iterable[Edge]) -> list[Edge]:
    """The same between tables, sources, routes, pages and mails, sorted."""
    pairs = {(table_of(source), table_of(made)) for source, made in edges_}
    return sorted(pair for pair in pairs if pair[0] != pair[1])


def table_of(node: str) -> str:
    """The table that a column lies in; a route, a page or a mail is itself."""
    return node if node.startswith(("route ", "page ", "mail ")) else node.rpartition(".")[0]


def _matches(node: str, asked: str) -> bool:
    return (
        node == asked
        or node.endswith((f".{asked}", f" {asked}"))
        or node.startswith(f"{asked} ")
        or table_of(node).endswith((f".{asked}", f" {asked}"))
        or table_of(node) == asked
    )


def _rows(found: Compiled) -> set[Edge]:
    return {(f"{needed}.{ROWS}", f"{table}.{ROWS}") for table, model in found.models.items() for needed in model.needs}


def _collected() -> set[Edge]:
    """A collection copies what its contract names."""
    return {
        (f"source {one.name}.{column.name}", f"{one.warehouse_table}.{column.name.upper()}")
        for one in CATALOG.values()
        if one.layer == "RAW" and one.name != _QUARANTINE
        for column in one.columns
    }


def _published(served: Mapping[str, Dataset]) -> set[Edge]:
    return {
        (f"{one.warehouse_table}.{column.name.upper()}", f"{table}.{column.name}")
        for table, one in served.items()
        for column in one.columns
    }


def _by_code(read: Code, found: Compiled) -> set[Edge]:
    """Datasets that Python makes: from the columns, named in that code, of the datasets named beside it."""
    made: set[Edge] = set()
    for one in CATALOG.values():
        if one.layer not in ("MARTS", "MODELS") or one.warehouse_table in found.models:
            continue
        makers = {
            name: each
            for name, each in read.functions.items()
            if one.name in each.texts and not each.route and not each.module.startswith((_CONTRACTS, _PAGES))
        }
        texts = {text for each in makers.values() for text in _texts_of_module(read, each.module)}
        beside = _inputs(read, makers, found, but={one.name, _QUARANTINE})
        made |= {
            (f"{CATALOG[name].warehouse_table}.{source.upper()}", f"{one.warehouse_table}.{column.name.upper()}")
            for name in beside
            for source in _named(CATALOG[name], texts)
            for column in one.columns
        }
    return made


def _named(of: Dataset, texts: Collection[str]) -> list[str]:
    """The columns of a dataset that code names; all of them where it names none."""
    names = [column.name for column in of.columns]
    return [name for name in names if name in texts] or names


def _inputs(read: Code, makers: Mapping[str, Function], found: Compiled, *, but: set[str]) -> set[str]:
    """The datasets that are named by what makes the one in question: by functions and those they call, else beside them
    in the same modules."""
    inputs = {one.name for one in CATALOG.values() if one.layer != "MARTS" or one.warehouse_table in found.models}
    inputs -= but
    called = read.reached({name for name, each in makers.items() if not each.whole})
    near = {text for name in called for text in read.functions[name].texts} & inputs
    modules = {each.module for each in makers.values()}
    return near or {text for module in modules for text in _texts_of_module(read, module)} & inputs


def _texts_of_module(read: Code, module: str) -> set[str]:
    """The texts in a module; where it is part of a package of a service's own, in all of that."""
    package = module.rpartition(".")[0]
    deep = package.count(".") > 0
    return {
        text
        for each in read.functions.values()
        if each.module == module or (deep and each.module.startswith(f"{package}."))
        for text in each.texts
    }


def _used(read: Code, served: Mapping[str, Dataset]) -> set[Edge]:
    columns = {table: [column.name for column in one.columns] for table, one in served.items()}
    queries = {name: read_columns(sql, columns) for name, sql in _queries(read).items()}
    made: set[Edge] = set()
    for user, starts in _users(read).items():
        reached = read.reached(starts)
        for name in {*reached, *(f"{one}_sql" for one in reached)} & queries.keys():
            made |= {(column, user) for column in queries[name]}
    return made


def _queries(read: Code) -> dict[str, str]:
    """The text of every query of the serving database: functions of `leandata.serving` that are called `..._sql`."""
    found: dict[str, str] = {}
    for name, one in read.functions.items():
        if one.module.startswith(_SERVING) and name.endswith("_sql") and not name.rpartition(".")[2].startswith("_"):
            function = getattr(importlib.import_module(one.module), name.rpartition(".")[2])
            needed = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
            if not needed:
                found[name] = function()
    return found


def _users(read: Code) -> dict[str, set[str]]:
    users: dict[str, set[str]] = {}
    for name, one in read.functions.items():
        if one.route:
            users.setdefault(f"route {one.route}", set()).add(name)
        elif one.module.startswith(_PAGES) and _path(read, one):
            users.setdefault(f"page {_path(read, one)}", set()).add(name)
        elif one.module.startswith(_REPORT):
            users.setdefault("mail weekly sales report", set()).add(name)
    return users


def _path(read: Code, one: Function) -> str:
    """The address of the page that a module makes: the first text in it that is one."""
    own = read.functions.get(f"{one.module}.<module>")
    paths = sorted(text for text in (own.texts if own else ()) if text.startswith("/"))
    return paths[0] if paths else ""
