"""Platform: freshness of every dataset, service health, last runs, volumes, checks, spend, the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards import health, parts, runs, spend, volumes
from dashboards.page import Context, Kind, Page, Table
from leandata import serving
from leandata.catalogue import entries
from leandata.clock import moment
from leandata.contract import Dataset, age
from leandata.datasets import CATALOG
from leandata.serving import Freshness

_HOUR = timedelta(hours=1)


def view(context: Context) -> Sequence[Any]:
    """The page; what is late comes first."""
    published = context.read(serving.freshness)
    if not published:
        nothing = parts.empty("Nothing is published yet.", "The first run of the pipelines publishes every mart.")
        early = [(healthy, health.section), (ran, runs.section)]
        return [nothing, *(section(context, now=_now(context)) for known, section in early if known(context).rows)]
    found = freshness(context)
    states = [row[1] for row in found.rows]
    tiles = [
        parts.Tile(id="datasets-fresh", label="As promised", value=f"{states.count('fresh')} of {len(states)}"),
        parts.Tile(id="datasets-late", label="Late", value=str(states.count("late"))),
        parts.Tile(id="datasets-missing", label="Not published", value=str(states.count("not yet"))),
        parts.Tile(id="rows", label="Rows published", value=f"{sum(one.rows for one in published):,}"),
    ]
    shown = parts.table(found, name="freshness-table", caption="Freshness of every dataset", marks=_MARKS)
    note = (
        "Promised: how old a dataset may be. Old: since its last day ended (UTC), as the nightly checks count."
        " Behind: the whole days that are over and that it does not know."
    )
    return [
        parts.tiles(tiles),
        parts.section("Datasets", shown, download=context.download("freshness"), note=note),
        health.section(context, now=_now(context)),
        runs.section(context, now=_now(context)),
        volumes.section(context),
        _checks(context),
        spend.section(context),
        _catalogue(context),
    ]


_MARKS = {"fresh": "good", "late": "bad", "not yet": "warned", "ok": "good", "failed": "bad", "waiting": "warned"}


def _checks(context: Context) -> Any:
    found = checked(context)
    if not found.rows:
        return parts.section("Checks", parts.empty("The checks have not run yet.", "They run every night."))
    shown = parts.table(found, name="checks-table", caption="What the nightly checks found", marks=_MARKS)
    return parts.section("Checks", shown, download=context.download("checks"))


def _catalogue(context: Context) -> Any:
    shown = parts.table(catalogue(context), name="catalogue-table", caption="Where each dataset comes from and goes")
    return parts.section("Catalogue and lineage", shown, download=context.download("catalogue"))


def checked(context: Context) -> Table:
    """What the last nightly checks found; what failed comes first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Dataset", "text"), ("Check", "text"), ("Result", "text"), ("What was found", "text"), ("Checked", "moment"),
    )  # fmt: skip
    order = {"failed": 0, "waiting": 1, "ok": 2}
    found = sorted(context.read(serving.checks), key=lambda one: (order.get(one.status, 0), one.dataset, one.check))
    return Table(
        columns=columns, rows=[(one.dataset, one.check, one.status, one.detail, one.checked_at) for one in found]
    )


def ran(context: Context) -> Table:
    """Each pipeline with its last run; what failed comes first."""
    return runs.table(context, now=_now(context))


def healthy(context: Context) -> Table:
    """Each part of the platform and whether it answers; what is down comes first."""
    return health.table(context, now=_now(context))


def catalogue(context: Context) -> Table:
    """Every dataset: what it is, who owns it, what it is made from, and who uses it."""
    del context
    columns: tuple[tuple[str, Kind], ...] = (
        ("Dataset", "text"), ("What it is", "text"), ("Owner", "text"), ("Made from", "text"), ("Goes into", "text"),
        ("Tests", "integer"),
    )  # fmt: skip
    rows = [
        (name, CATALOG[name].description, CATALOG[name].owner, ", ".join(one.made_from), ", ".join(one.goes_into),
         len(one.checks))
        for name, one in entries().items()
    ]  # fmt: skip
    return Table(columns=columns, rows=rows)


def freshness(context: Context) -> Table:
    """Every mart of the catalogue and what is published of it."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Dataset", "text"), ("State", "text"), ("Promised hours", "integer"), ("Hours old", "integer"),
        ("Data until", "date"), ("Days behind", "integer"), ("Rows", "integer"), ("Version", "text"),
        ("Published", "moment"), ("Owner", "text"),
    )  # fmt: skip
    published = {one.dataset: one for one in context.read(serving.freshness)}
    rows = [_row(one, published.get(name), context) for name, one in CATALOG.items() if one.layer == "MARTS"]
    order = {"late": 0, "not yet": 1, "fresh": 2}
    return Table(columns=columns, rows=sorted(rows, key=lambda row: (order[row[1]], row[0])))


def state(contract: Dataset, published: Freshness | None, now: datetime) -> str:
    """`late` when its last day ended longer ago than its contract allows, `not yet` when nothing is published, else
    `fresh`: as the nightly checks and the API say."""
    if published is None:
        return "not yet"
    return "late" if contract.late(published.data_until, now=now) else "fresh"


def _row(contract: Dataset, published: Freshness | None, context: Context) -> tuple[Any, ...]:
    now = _now(context)
    promised = contract.freshness // _HOUR
    if published is None:
        return (contract.name, "not yet", promised, None, None, None, None, None, None, contract.owner)
    behind = max(0, (context.today - published.data_until).days - 1)
    old = age(published.data_until, now=now) // _HOUR
    told = (state(contract, published, now), promised, old, published.data_until, behind)
    return (contract.name, *told, published.rows, published.version, published.published_at, contract.owner)


def _now(context: Context) -> datetime:
    """The moment it is; where another day is set, that day at noon."""
    return moment(context.today, clock=datetime.now(UTC))


page = Page(
    path="/platform",
    title="Platform",
    order=90,
    view=view,
    tables={
        "freshness": freshness,
        "health": healthy,
        "runs": ran,
        "volumes": volumes.table,
        "checks": checked,
        "spend": spend.table,
        "catalogue": catalogue,
    },
)
