"""What schemathesis has to know of the API besides its description. It loads this file by SCHEMATHESIS_HOOKS.

The rules here are those that the description says in words, because JSON Schema cannot: a failure that one of them
explains is none. Every id that was accepted is written to the file HOSTILE_ACCEPTED, one a line.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO
from uuid import NAMESPACE_OID, UUID, uuid5

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import AcceptedNegativeData, RejectedPositiveData

Case = schemathesis.Case[Any]
_accepted: set[str] = set()
_turn, _number = itertools.count(), itertools.count()
_cursors: dict[str, tuple[str, str]] = {}
_EVENT = "#/components/schemas/Event"


def _file() -> TextIO:
    return open(os.environ["HOSTILE_ACCEPTED"], "a", encoding="utf-8")  # noqa: PTH123


schemathesis.openapi.format(
    "date-time",
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda moment: moment.isoformat().replace("+00:00", "Z")
    ),
)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """A stream from the beginning, where events are: one of events to come would only be waited for. And new ids for
    most events whose ids were accepted before: else nearly all would be refused, or kept already."""
    del context, kwargs
    name = case.operation.definition.raw.get("operationId")
    if not _is_right(case):
        return
    if name == "get_stream":
        case.query["after"] = "0"
        case.headers.pop("last-event-id", None)
    if name == "post_events" and next(_turn) % 4:
        renamed = [{**one, "event_id": _new_id()} if _is_taken(one) else one for one in _events(case)]
        body: Any = renamed if isinstance(case.body, list) else renamed[0]
        case.body = body


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: Case, response: schemathesis.Response) -> None:
    """Note what was accepted, and which cursors the API made for which question."""
    del context
    name = case.operation.definition.raw.get("operationId")
    if name == "post_events" and response.status_code in (202, 207):
        ids = {str(UUID(one)) for one in response.json()["accepted"]}
        with _file() as file:
            file.writelines(f"{one}\n" for one in sorted(ids - _accepted))
        _accepted.update(ids)
    if name == "get_customers" and response.status_code == 200 and (cursor := response.json()["next"]):
        _cursors[cursor] = _question(case)


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: Case,
    response: schemathesis.Response,
) -> bool:
    """Whether it is a failure: not where the description says in words why the API answers so."""
    del context
    name = str(case.operation.definition.raw.get("operationId"))
    if isinstance(failure, RejectedPositiveData):
        return not (name in _REFUSED and response.status_code in (400, 409, 422) and _REFUSED[name](case))
    if isinstance(failure, AcceptedNegativeData) and name == "post_events":
        return not _is_named_by_its_header(case)
    return True


def _is_right(case: Case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def _events(case: Case) -> list[dict[str, Any]]:
    """The events of a right body: one, or a batch."""
    body: Any = case.body
    return body if isinstance(body, list) else [body]


def _new_id() -> str:
    return str(uuid5(NAMESPACE_OID, f"hostile {next(_number)}"))


def _is_taken(event: Mapping[str, Any]) -> bool:
    return str(UUID(event["event_id"])) in _accepted


def _question(case: Case) -> tuple[str, str]:
    asked = case.query or {}
    return str(asked.get("q", "")), str(asked.get("segment", ""))


def _has_a_foreign_cursor(case: Case) -> bool:
    """A cursor is the `next` of a page with the same question; no other text is one."""
    cursor = str((case.query or {}).get("cursor", ""))
    return bool(cursor) and _cursors.get(cursor) != _question(case)


def _ends_before_it_begins(case: Case) -> bool:
    asked: Mapping[str, Any] = case.query or {}
    return "from" in asked and "to" in asked and str(asked["to"]) < str(asked["from"])


def _is_no_new_event(case: Case) -> bool:
    """Under the id of another event nothing is kept; whole numbers are written without a decimal point."""
    events = _events(case)
    if any(isinstance(value, float) for one in events for value in (*one.values(), *one.get("payload", {}).values())):
        return True
    ids = [str(UUID(one["event_id"])) for one in events]
    return bool(set(ids) & _accepted) or len(set(ids)) < len(ids)


def _is_named_by_its_header(case: Case) -> bool:
    """`Idempotency-Key` stands for the id that a single event has not."""
    named = {name.lower(): value for name, value in (case.headers or {}).items()}.get("idempotency-key")
    if named is None or not isinstance(case.body, dict) or "event_id" in case.body:
        return False
    document = case.operation.schema.raw_schema
    whole = {"event_id": str(named), **case.body}
    return bool(jsonschema_rs.is_valid({"$ref": _EVENT, "components": document["components"]}, whole))


_REFUSED: Mapping[str, Callable[[Case], bool]] = {
    "get_customers": _has_a_foreign_cursor,
    "get_daily_sales": _ends_before_it_begins,
    "get_weekly_sales": _ends_before_it_begins,
    "post_events": _is_no_new_event,
}
