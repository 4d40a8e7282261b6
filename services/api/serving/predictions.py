"""What the current model predicts; the model itself is nowhere near this process."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from leandata.serving import predictions_sql, to_prediction
from serving.answers import UNCHANGED, Answers, Exact

router = APIRouter(prefix="/v1", tags=["predictions"], responses=UNCHANGED)
_MOST = 1000


class PredictionFigures(BaseModel):
    """How likely a customer is to order in the four weeks from the Monday `as_of` on, by this version of the model."""

    customer_id: int = Field(examples=[7])
    as_of: date
    probability: Exact
    model_version: str = Field(examples=["20261124t125446_jhivl3ma"])


class Predictions(BaseModel):
    """Customers, the likeliest first, and until which day the data goes (null before the first model)."""

    data_until: date | None
    predictions: list[PredictionFigures]


@router.get("/predictions", response_model=Predictions)
async def get_predictions(
    request: Request,
    customer: Annotated[int | None, Query(description="Only this customer", ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(description="So many at most", ge=1, le=_MOST)] = 50,
) -> Response:
    """How likely customers are to order within four weeks, by the model that is current; the likeliest first."""
    answers: Answers = request.app.state.answers
    return await answers.listed(
        request,
        dataset="features.purchase_predictions",
        model=Predictions,
        name="predictions",
        query=predictions_sql(),
        parameters={"customer": customer, "limit": limit},
        shape=lambda row: asdict(to_prediction(row)),
    )
