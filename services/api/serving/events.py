"""Events: kept before they are acknowledged, once each; what is wrong in a batch is named and the rest is kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC
from typing import Annotated, Any
from uuid import UUID

import psycopg
from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from serving.inbox import Inbox, Kept
from serving.problems import Problem, ProblemError, places, sentence
from serving.recognising import recognised
from serving.schemas import BATCH, MODELS, ONE, Event

router = APIRouter(prefix="/v1", tags=["events"])
MOST_EVENTS = 1000
_SPACE = b" \t\r\n"
_JSON = ("application/json", "text/json")
_ID = "6f1c2f0e-5c1b-4e3a-9a53-0d6f6f1f2a10"
_CONFLICT = "event_id: an event that says something else is kept under this id"
_EXAMPLES = {
    "one": {
        "summary": "One event",
        "value": {
            "event_id": _ID, "type": "order_placed", "occurred_at": "2026-11-24T10:00:00Z", "customer_id": 1,
            "payload": {"order_id": "A-1001", "amount_usd": "29.33", "units": 2},
        },
    },
    "batch": {
        "summary": "A batch",
        "value": [{"event_id": _ID, "type": "page_view", "occurred_at": "2026-11-24T10:00:00Z"}],
    },
}  # fmt: skip


class Refused(BaseModel):
    """An event of a batch that is not kept: its place in the batch, from 0, its id if it has one, and why."""

    index: int = Field(examples=[1])
    event_id: str | None = Field(examples=[_ID])
    reason: str = Field(examples=["payload.amount_usd: Field required"])


class Outcome(BaseModel):
    """`accepted` are the ids that are kept now, in the order sent; of these, `duplicates` were kept before.

    `duplicates` and `refused` are absent when there are none.
    """

    accepted: list[UUID] = Field(examples=[[_ID]])
    duplicates: list[UUID] = []
    refused: list[Refused] = []


def described() -> dict[str, Any]:
    """The body of `post_events` for the description of the API."""
    body = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"$ref": "#/components/schemas/Event"}, {"$ref": "#/components/schemas/Batch"}]},
                "examples": _EXAMPLES,
            }
        },
    }
    return {"requestBody": body}


@router.post(
    "/events",
    status_code=202,
    openapi_extra=described(),
    response_model=Outcome,
    responses={
        207: {"model": Outcome, "description": "Some events of the batch are kept, some are refused"},
        400: {"model": Problem, "description": "The body is not JSON"},
        409: {"model": Problem, "description": "Another event is kept under the id of this one"},
        413: {"model": Problem, "description": "The body is larger than 1 MiB"},
        415: {"model": Problem, "description": "The body does not say that it is JSON"},
        422: {"model": Problem, "description": "Nothing is kept: the event, or every event of the batch, is wrong"},
    },
)
async def post_events(
    request: Request,
    idempotency_key: Annotated[
        UUID | None, Header(description="Stands for `event_id` where a single event has none")
    ] = None,
) -> Response:
    """Keep one event, or up to a thousand. The answer comes when they are durable; until then nothing is promised.

    `event_id` makes sending again harmless: an event that was kept before is accepted and named as a duplicate.
    In a batch the right events are kept and the wrong ones are named (207).
    """
    body = await request.body()
    _demand_json(request)
    single = not body.lstrip(_SPACE).startswith(b"[")
    inbox: Inbox = request.app.state.inbox
    if single:
        return await _one(inbox, body, key=idempotency_key)
    if ids := recognised(body, most=MOST_EVENTS):
        with suppress(psycopg.DataError):
            outcomes = await inbox.keep(body.strip(_SPACE), count=len(ids))
            return _answer(ids, range(len(ids)), [], outcomes)
    events, refused, places_of = _parsed(body)
    whole = body.strip(_SPACE) if not refused else b""
    outcomes = await _kept(inbox, events, body=whole) if events else []
    return _answer([event.event_id for event in events], places_of, refused, outcomes)


def _answer(
    ids: Sequence[UUID], places_of: Sequence[int], refused: list[Refused], outcomes: Sequence[Kept]
) -> Response:
    """The answer to a batch: the ids that were right with their places and what became of each, and what was refused.

    Raises ProblemError when nothing is kept.
    """
    if not refused and outcomes.count(Kept.NEW) == len(ids):
        return Response(to_json({"accepted": ids}), status_code=202, media_type="application/json")
    for id_, index, outcome in zip(ids, places_of, outcomes, strict=True):
        if outcome is Kept.OTHER:
            refused.append(Refused(index=index, event_id=str(id_), reason=_CONFLICT))
    refused.sort(key=lambda one: one.index)
    kept = list(zip(ids, outcomes, strict=True))
    accepted = [id_ for id_, outcome in kept if outcome is not Kept.OTHER]
    if not accepted:
        more = [one.model_dump() for one in refused]
        raise ProblemError(422, f"event {refused[0].index}: {refused[0].reason}", refused=more)
    found: dict[str, Any] = {"accepted": accepted}
    if before := [id_ for id_, outcome in kept if outcome is Kept.BEFORE]:
        found["duplicates"] = before
    if refused:
        found["refused"] = [one.model_dump() for one in refused]
    return Response(to_json(found), status_code=207 if refused else 202, media_type="application/json")


async def _kept(inbox: Inbox, events: list[Event], *, body: bytes = b"") -> list[Kept]:
    """Keep the events. `body` says the same as they do, and is taken as it is where PostgreSQL can read it.

    It reads nearly every text as we do and refuses the others: an id as a URN say, an offset of 20 hours, or a null
    character in a field that is given again after it.
    """
    if body:
        with suppress(psycopg.DataError):
            return await inbox.keep(body, count=len(events))
    for event in events:
        event.occurred_at = event.occurred_at.astimezone(UTC)
    return await inbox.keep(BATCH.dump_json(events, exclude_unset=True), count=len(events))


async def _one(inbox: Inbox, body: bytes, *, key: UUID | None) -> Response:
    try:
        if key is not None and isinstance(found := from_json(body, allow_inf_nan=False), dict):
            body = to_json({"event_id": str(key), **found})
        event = ONE.validate_json(body)
    except ValidationError as error:
        found = _told(error.errors(include_url=False, include_input=False))
        raise ProblemError(_status(error), sentence(found), errors=found) from None
    except ValueError as error:
        raise ProblemError(400, f"Invalid JSON: {error}") from None
    (outcome,) = await _kept(inbox, [event])
    if outcome is Kept.OTHER:
        raise ProblemError(409, _CONFLICT)
    answer = {"accepted": [event.event_id], **({"duplicates": [event.event_id]} if outcome is Kept.BEFORE else {})}
    return Response(to_json(answer), status_code=202, media_type="application/json")


def _parsed(body: bytes) -> tuple[list[Event], list[Refused], list[int]]:
    """The events that are right, those that are refused, and the place in the batch of each that is right."""
    try:
        events = BATCH.validate_json(body)
    except ValidationError as error:
        if error.error_count() == 1 and error.errors()[0]["type"] == "json_invalid":
            raise ProblemError(400, str(error.errors()[0]["msg"])) from None
        return _partly(body, error.errors(include_url=False, include_input=False))
    _demand_size(len(events))
    return events, [], list(range(len(events)))


def _partly(body: bytes, errors: list[ErrorDetails]) -> tuple[list[Event], list[Refused], list[int]]:
    sent = from_json(body)
    _demand_size(len(sent))
    wrong: dict[int, list[ErrorDetails]] = {}
    for error in errors:
        wrong.setdefault(int(error["loc"][0]), []).append({**error, "loc": error["loc"][1:]})
    refused = [
        Refused(index=index, event_id=_id_of(sent[index]), reason=sentence(_told(found)))
        for index, found in wrong.items()
    ]
    right = [index for index in range(len(sent)) if index not in wrong]
    return BATCH.validate_json(to_json([sent[index] for index in right])), refused, right


def _told(errors: list[ErrorDetails]) -> list[dict[str, str]]:
    """Places without the name of the type, which pydantic puts first; an unknown type names the known ones."""
    found = [
        {**error, "loc": tuple(part for part in error["loc"] if part not in MODELS) or _place(error)}
        for error in errors
    ]
    return places(found)


def _place(error: ErrorDetails) -> tuple[str, ...]:
    return ("type",) if str(error["type"]).startswith("union_tag") else ()


def _status(error: ValidationError) -> int:
    return 400 if error.errors()[0]["type"] == "json_invalid" else 422


def _id_of(event: Any) -> str | None:
    """The id of an event that is refused, as far as it can be told."""
    found = event.get("event_id") if isinstance(event, dict) else None
    return found[:36] if isinstance(found, str) else None


def _demand_size(count: int) -> None:
    if not 1 <= count <= MOST_EVENTS:
        raise ProblemError(422, f"A batch has 1 to {MOST_EVENTS} events, not {count}.")


def _demand_json(request: Request) -> None:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in _JSON and not said.endswith("+json"):
        raise ProblemError(415, "Send JSON, and say so: Content-Type: application/json.")


def schemas() -> dict[str, Any]:
    """What `described` refers to, for the components of the description."""
    reference = "#/components/schemas/{model}"
    event = ONE.json_schema(ref_template=reference)
    definitions = event.pop("$defs")
    batch = {"type": "array", "minItems": 1, "maxItems": MOST_EVENTS, "items": {"$ref": "#/components/schemas/Event"}}
    return {**definitions, "Event": event, "Batch": {**batch, "title": "Batch"}}
