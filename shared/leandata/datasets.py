"""Every dataset is a contract: those of the platform are here, those of a team's own sources a file each beside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from leandata.contract import DT as _DT
from leandata.contract import ROW as _ROW
from leandata.contract import RUN as _RUN
from leandata.contract import Column, Dataset, written
from leandata.errors import ContractError

_CUSTOMER = Column(name="customer_id", type="bigint", description="The customer, numbered by the shop", minimum=1)


def _sales(period: str, what: str) -> tuple[Column, ...]:
    return (
        Column(name=period, type="date", description=what),
        Column(name="revenue", type="decimal(14,2)", description="US dollars of all orders", minimum=0),
        Column(name="orders", type="bigint", description="Orders placed", minimum=0),
        Column(name="customers", type="bigint", description="Distinct customers who ordered", minimum=0),
        Column(name="new_customers", type="bigint", description="Of these, who never ordered before", minimum=0),
        Column(name="units", type="bigint", description="Units sold", minimum=0),
    )


_DAILY = timedelta(hours=27)  # a day is collected from 02:15 UTC on and published by 03:00; the checks look at 03:30
_WEEKLY = timedelta(days=8)
_ALL = (
    Dataset(
        name="shop.orders",
        layer="RAW",
        owner="data-team",
        description="Orders as the shop holds them. They have no id: identical rows are orders of their own.",
        columns=(
            _CUSTOMER,
            Column(name="ordered_on", type="date", description="The day of the order"),
            Column(name="quantity", type="integer", description="Units bought", minimum=1),
            Column(name="amount_usd", type="decimal(12,2)", description="US dollars paid", minimum=0),
        ),
        loaded=(_DT, _RUN, _ROW),
        key=("_dt", "_run", "_row"),
        partition="ordered_on",
        freshness=_DAILY,
    ),
    Dataset(
        name="shop.customers",
        layer="RAW",
        owner="data-team",
        description="Customers as the shop holds them, whole at every collection.",
        columns=(_CUSTOMER, Column(name="created_on", type="date", description="The day of the account")),
        loaded=(_RUN,),
        key=("customer_id",),
        freshness=_DAILY,
    ),
    Dataset(
        name="shop.events",
        layer="RAW",
        owner="data-team",
        description="Events as the API's inbox holds them, by the day (UTC) on which they came in.",
        columns=(
            Column(name="event_id", type="text", description="The sender's id of the event"),
            Column(name="type", type="text", description="What happened, such as page_view"),
            Column(name="occurred_on", type="date", description="The day (UTC) on which it happened"),
            Column(name="occurred_at", type="text", description="When it happened, UTC, ISO 8601"),
            Column(name="customer_id", type="bigint", description="The customer, where one is known", nullable=True),
            Column(name="payload", type="text", description="What the sender told of it, as JSON"),
        ),
        loaded=(_DT, _RUN, _ROW),
        key=("event_id",),
        partition="_dt",
        freshness=_DAILY,
    ),
    Dataset(
        name="quarantine.rows",
        layer="RAW",
        owner="data-team",
        description="Rows that broke their dataset's contract, with the reason; they are in no figure.",
        columns=(
            Column(name="dataset", type="text", description="The dataset whose contract was broken"),
            Column(name="reason", type="text", description="What is wrong"),
            Column(name="row_json", type="text", description="The row as the source gave it"),
        ),
        loaded=(_DT, _RUN, _ROW),
        key=("_dt", "_run", "_row"),
        partition="_dt",
        freshness=_DAILY,
    ),
    Dataset(
        name="sales.daily_sales",
        layer="MARTS",
        owner="data-team",
        description="Sales of each day; a day without orders has a row of zeros.",
        columns=_sales("day", "The day"),
        key=("day",),
        freshness=_DAILY,
    ),
    Dataset(
        name="sales.weekly_sales",
        layer="MARTS",
        owner="data-team",
        description="Sales of each week from Monday to Sunday.",
        columns=_sales("week", "The week's Monday"),
        key=("week",),
        freshness=_DAILY,
    ),
    Dataset(
        name="sales.customers",
        layer="MARTS",
        owner="data-team",
        description="Each customer's history in one row.",
        columns=(
            _CUSTOMER,
            Column(name="first_order_on", type="date", description="The day of the first order"),
            Column(name="last_order_on", type="date", description="The day of the last order"),
            Column(name="orders", type="bigint", description="Orders placed", minimum=1),
            Column(name="units", type="bigint", description="Units bought", minimum=1),
            Column(name="revenue", type="decimal(14,2)", description="US dollars paid", minimum=0),
        ),
        key=("customer_id",),
        freshness=_DAILY,
    ),
    Dataset(
        name="sales.customer_days",
        layer="MARTS",
        owner="data-team",
        description="Each day on which a customer ordered.",
        columns=(
            _CUSTOMER,
            Column(name="day", type="date", description="The day"),
            Column(name="orders", type="bigint", description="Orders placed", minimum=1),
            Column(name="units", type="bigint", description="Units bought", minimum=1),
            Column(name="revenue", type="decimal(14,2)", description="US dollars paid", minimum=0),
        ),
        key=("customer_id", "day"),
        freshness=_DAILY,
    ),
    Dataset(
        name="sales.segments",
        layer="MARTS",
        owner="data-team",
        description="Each customer's recency, frequency and value, scored by quintiles, and the segment they make.",
        columns=(
            _CUSTOMER,
            Column(name="as_of", type="date", description="The day the scores are of"),
            Column(name="recency_days", type="integer", description="Days since the last order", minimum=0),
            Column(name="frequency", type="bigint", description="Orders placed", minimum=1),
            Column(name="monetary", type="decimal(14,2)", description="US dollars paid", minimum=0),
            Column(name="recency_score", type="integer", description="1 (long ago) to 5 (lately)", minimum=1),
            Column(name="frequency_score", type="integer", description="1 (seldom) to 5 (often)", minimum=1),
            Column(name="monetary_score", type="integer", description="1 (little) to 5 (much)", minimum=1),
            Column(
                name="segment",
                type="text",
                description="champions, loyal, new, promising, at_risk, hibernating or lost: the first rule that fits",
            ),
        ),
        key=("customer_id",),
        freshness=_DAILY,
    ),
    Dataset(
        name="sales.cohorts",
        layer="MARTS",
        owner="data-team",
        description="Customers by the month of their first order, followed through every month since.",
        columns=(
            Column(name="cohort", type="date", description="The first day of the month of the first order"),
            Column(name="month", type="integer", description="Months since, from 0", minimum=0),
            Column(name="customers", type="bigint", description="Distinct customers who ordered then", minimum=0),
            Column(name="cohort_customers", type="bigint", description="Customers of the cohort", minimum=1),
            Column(name="orders", type="bigint", description="Orders placed", minimum=0),
            Column(name="revenue", type="decimal(14,2)", description="US dollars of all orders", minimum=0),
        ),
        key=("cohort", "month"),
        freshness=_DAILY,
    ),
    Dataset(
        name="sales.daily_events",
        layer="MARTS",
        owner="data-team",
        description="Events of each day by type, and how many of their customers ordered soon after.",
        columns=(
            Column(name="day", type="date", description="The day (UTC) on which they happened"),
            Column(name="type", type="text", description="What happened"),
            Column(name="events", type="bigint", description="Events", minimum=1),
            Column(name="customers", type="bigint", description="Distinct known customers", minimum=0),
            Column(name="converted", type="bigint", description="Of these, who ordered within seven days", minimum=0),
        ),
        key=("day", "type"),
        freshness=_DAILY,
    ),
    Dataset(
        name="features.customer_features",
        layer="MARTS",
        owner="data-science",
        description="Recency, frequency and value of each customer, computed on Dask.",
        columns=(
            _CUSTOMER,
            Column(name="as_of", type="date", description="The day the features are of"),
            Column(name="recency_days", type="integer", description="Days since the last order", minimum=0),
            Column(name="frequency", type="integer", description="Days with an order after the first", minimum=0),
            Column(name="monetary_value", type="decimal(14,2)", description="Mean US dollars a repeat day", minimum=0),
            Column(name="tenure_days", type="integer", description="Days since the first order", minimum=0),
        ),
        key=("customer_id",),
        freshness=_DAILY,
    ),
    Dataset(
        name="features.purchase_predictions",
        layer="MARTS",
        owner="data-science",
        description="How likely each customer is to order within four weeks, by the current model.",
        columns=(
            _CUSTOMER,
            Column(name="as_of", type="date", description="The Monday from which on the four weeks count"),
            Column(name="probability", type="decimal(9,6)", description="Of an order within four weeks", minimum=0),
            Column(name="model_version", type="text", description="The version of the model"),
        ),
        key=("customer_id",),
        freshness=_WEEKLY,
    ),
    Dataset(
        name="features.purchase_scores",
        layer="MARTS",
        owner="data-science",
        description="How good each version of the purchase model and its baselines were on weeks they had not seen.",
        columns=(
            Column(name="version", type="text", description="The version of the model"),
            Column(name="trained_on", type="date", description="The last day that it knew of"),
            Column(name="state", type="text", description="current, kept, refused or withdrawn"),
            Column(name="learner", type="text", description="gradient boosting, BG/NBD or last behaviour"),
            Column(name="metric", type="text", description="auc, log_loss, gain, calibration, live_..."),
            Column(name="value", type="decimal(9,6)", description="The figure"),
            Column(name="low", type="decimal(9,6)", description="From here on, with 95% confidence", nullable=True),
            Column(name="high", type="decimal(9,6)", description="Until here", nullable=True),
        ),
        key=("version", "learner", "metric"),
        freshness=_WEEKLY,
    ),
    Dataset(
        name="models.purchase",
        layer="MODELS",
        owner="data-science",
        description="Every version of the purchase model: its file, its card, and which one is current.",
        columns=(
            Column(name="version", type="text", description="The version"),
            Column(name="trained_on", type="date", description="The last day that it knew of"),
            Column(name="state", type="text", description="current, kept, refused or withdrawn"),
            Column(name="file", type="text", description="Where the model lies in the zone, empty for a refused one"),
            Column(name="sha256", type="text", description="Of the file"),
            Column(name="card", type="text", description="What it is and how good it was, as JSON"),
        ),
        key=("version",),
        freshness=_WEEKLY,
    ),
)

FOLDER = Path(__file__).with_name("contracts")
CATALOG: Mapping[str, Dataset] = {dataset.name: dataset for dataset in (*_ALL, *written(FOLDER))}


def dataset(name: str) -> Dataset:
    """The contract of that name. Raises ContractError naming the known ones."""
    if name not in CATALOG:
        raise ContractError(f"no dataset {name!r}", hint=f"There are: {', '.join(sorted(CATALOG))}")
    return CATALOG[name]
