"""The serving database: what the API, the dashboards and the report read, published whole or not at all.

Of every answer there is a value, a reader that takes a connection, the query behind it (`..._sql`, for provenance and
for readers that bring their own connection), and `to_...`, which makes the value of a row.
"""

from leandata.serving.customer_history import (
    Customer,
    CustomerDay,
    TopCustomer,
    customer,
    customer_days,
    customer_days_sql,
    customers,
    customers_sql,
    to_customer,
    to_customer_day,
    to_top_customer,
    top_customers,
    top_customers_sql,
)
from leandata.serving.fresh import Freshness, freshness, freshness_sql, to_freshness
from leandata.serving.groups import (
    CohortMonth,
    Segment,
    cohorts,
    cohorts_sql,
    segments,
    segments_sql,
    to_cohort_month,
    to_segment,
)
from leandata.serving.happenings import DailyEvents, daily_events, daily_events_sql, to_daily_events
from leandata.serving.publishing import SCHEMA, ensure_schema, publish
from leandata.serving.purchases import (
    ModelScore,
    Prediction,
    model_scores,
    model_scores_sql,
    predictions,
    predictions_sql,
    to_model_score,
    to_prediction,
)
from leandata.serving.quality import Check, Status, checks, checks_sql, record_checks, to_check
from leandata.serving.runs import Run, RunState, record_run, runs, runs_sql, to_run
from leandata.serving.sales import Sales, daily_sales, daily_sales_sql, to_sales, weekly_sales, weekly_sales_sql

__all__ = [
    "SCHEMA",
    "Check",
    "CohortMonth",
    "Customer",
    "CustomerDay",
    "DailyEvents",
    "Freshness",
    "ModelScore",
    "Prediction",
    "Run",
    "RunState",
    "Sales",
    "Segment",
    "Status",
    "TopCustomer",
    "checks",
    "checks_sql",
    "cohorts",
    "cohorts_sql",
    "customer",
    "customer_days",
    "customer_days_sql",
    "customers",
    "customers_sql",
    "daily_events",
    "daily_events_sql",
    "daily_sales",
    "daily_sales_sql",
    "ensure_schema",
    "freshness",
    "freshness_sql",
    "model_scores",
    "model_scores_sql",
    "predictions",
    "predictions_sql",
    "publish",
    "record_checks",
    "record_run",
    "runs",
    "runs_sql",
    "segments",
    "segments_sql",
    "to_check",
    "to_cohort_month",
    "to_customer",
    "to_customer_day",
    "to_daily_events",
    "to_freshness",
    "to_model_score",
    "to_prediction",
    "to_run",
    "to_sales",
    "to_segment",
    "to_top_customer",
    "top_customers",
    "top_customers_sql",
    "weekly_sales",
    "weekly_sales_sql",
]
