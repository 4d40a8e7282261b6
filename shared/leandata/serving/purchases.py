"""What the purchase model predicts, and how good each of its versions was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from leandata.database import Connection
from leandata.serving.rows import rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """How likely a customer is to order in the four weeks from the Monday `as_of` on."""

    customer_id: int
    as_of: date
    probability: Decimal
    model_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelScore:
    """A figure of a version on weeks that it had not seen, with its 95% interval where there is one.

    `metric` is auc, log_loss (nats), gain (nats saved against the best baseline), or predicted_NN and observed_NN: the
    mean probability of a tenth of the customers, the likeliest first, and the share of it that ordered.
    """

    version: str
    trained_on: date
    state: str
    learner: str
    metric: str
    value: Decimal
    low: Decimal | None
    high: Decimal | None


def predictions(connection: Connection, *, customer: int | None = None, limit: int = 50) -> list[Prediction]:
    """At most `limit` customers, the likeliest first; only `customer` where one is named. Empty before a first one."""
    parameters = {"customer": customer, "limit": limit}
    found = rows(connection, "purchase_predictions", predictions_sql(), parameters)
    return [to_prediction(row) for row in found]


def model_scores(connection: Connection) -> list[ModelScore]:
    """Every figure of every version, the newest version first; empty before the first training."""
    return [to_model_score(row) for row in rows(connection, "purchase_scores", model_scores_sql(), {})]


def predictions_sql() -> LiteralString:
    """The query behind `predictions`: parameters `customer` (null for all) and `limit`."""
    return (
        "SELECT customer_id, as_of, probability, model_version FROM serving.purchase_predictions"
        " WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s"
        " ORDER BY probability DESC, customer_id LIMIT %(limit)s"
    )


def model_scores_sql() -> LiteralString:
    """The query behind `model_scores`."""
    return (
        "SELECT version, trained_on, state, learner, metric, value, low, high FROM serving.purchase_scores"
        " ORDER BY trained_on DESC, version DESC, learner, metric"
    )


def to_prediction(row: Sequence[Any]) -> Prediction:
    """A row of `predictions_sql` as a value."""
    number, as_of, probability, version = row
    return Prediction(customer_id=number, as_of=as_of, probability=probability, model_version=version)


def to_model_score(row: Sequence[Any]) -> ModelScore:
    """A row of `model_scores_sql` as a value."""
    version, trained_on, state, learner, metric, value, low, high = row
    return ModelScore(
        version=version,
        trained_on=trained_on,
        state=state,
        learner=learner,
        metric=metric,
        value=value,
        low=low,
        high=high,
    )
