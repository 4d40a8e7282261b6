"""Batches that are recognised: never one that the models refuse, and all that senders usually send."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.recognising import decoder, recognised
from serving.schemas import BATCH, MODELS, json_schemas

ID = "6f1c2f0e-5c1b-4e3a-9a53-0d6f6f1f2a10"
PAYLOADS: dict[str, dict[str, Any]] = {
    "page_view": {"page": "/é", "referrer": "https://a.example/", "title": 'x "y" \\ z'},
    "product_view": {"product_id": "cd-1", "price_usd": "14.79"},
    "add_to_cart": {"product_id": "cd-1", "quantity": 2, "price_usd": "14.79"},
    "order_placed": {"order_id": "A-1", "amount_usd": "29.33", "units": 2, "coupon": "x"},
    "sign_up": {"method": "email", "campaign": "autumn"},
    "newsletter_open": {"campaign": "autumn", "link": "https://a.example/"},
    "newsletter_click": {"campaign": "autumn", "link": "https://a.example/"},
}


def event(kind: str = "order_placed", **changed: Any) -> dict[str, Any]:
    return {"event_id": ID, "type": kind, "occurred_at": "2026-11-24T10:00:00.25Z", "customer_id": 1,
            "payload": PAYLOADS[kind], **changed}  # fmt: skip


def right(body: bytes) -> bool:
    try:
        BATCH.validate_json(body)
    except ValidationError:
        return False
    return True


def text(*events: Any, ascii_only: bool = False) -> bytes:
    return json.dumps(events, ensure_ascii=ascii_only).encode()


def written(**raw: str) -> bytes:
    """An order with fields as the JSON that is given for them."""
    found = {
        "when": '"2026-11-24T10:00:00Z"', "customer": "1", "order": '"A"', "amount": '"1.00"', "units": "1", "more": "",
        **raw,
    }  # fmt: skip
    told = {"event_id": ID, "type": "order_placed", "occurred_at": "@when", "customer_id": "@customer",
            "payload": {"order_id": "@order", "amount_usd": "@amount", "units": "@units"}, "@more": 0}  # fmt: skip
    body = json.dumps([told]).replace(', "@more": 0', "@more").replace('"@more"', "@more")
    for name, value in found.items():
        body = body.replace(f'"@{name}"', value).replace(f"@{name}", value)
    return body.encode()


def test_every_type_of_event_is_recognised() -> None:
    assert set(PAYLOADS) == set(MODELS)
    batch = text(*(event(kind) for kind in PAYLOADS))
    assert right(batch)
    assert recognised(batch, most=1000) == [UUID(ID)] * len(PAYLOADS)
    bare = text(*(event(kind, payload={}) for kind in ("page_view", "sign_up")))
    assert recognised(bare, most=1000) == [UUID(ID)] * 2


@pytest.mark.parametrize(
    "unknown",
    [{"type": "number"}, {"type": "string", "contentEncoding": "base64"}, {"anyOf": [{"type": "string"}]}, {"not": {}}],
)
def test_a_type_whose_schema_says_something_new_is_left_to_the_models_and_the_others_are_recognised(
    unknown: dict[str, object],
) -> None:
    known = json_schemas()
    first, other = sorted(known)[:2]
    strange = {**known[first], "properties": {**known[first]["properties"], "more": unknown}}
    found = decoder({**known, first: strange})
    assert len(found.decode(text(event(other)))) == 1
    with pytest.raises(msgspec.DecodeError):
        found.decode(text(event(first)))
    with pytest.raises(msgspec.DecodeError):
        decoder({first: strange}).decode(text(event(first)))
    assert found.decode(b"[]") == decoder({first: strange}).decode(b"[]") == []


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_a_batch_has_as_many_ids_as_events(count: int) -> None:
    ids = [UUID(int=number) for number in range(count)]
    assert recognised(text(*(event(event_id=str(one)) for one in ids)), most=1000) == ids


@pytest.mark.parametrize("count", [0, 4])
def test_a_batch_of_no_size_that_is_allowed_is_left_to_the_models(count: int) -> None:
    assert recognised(text(*[event()] * count), most=3) is None


@pytest.mark.parametrize(
    "escape", ["\\u0000", "\\u0001", "\\u0041", "\\u007f"], ids=["null", "control", "letter", "delete"]
)
def test_ascii_that_is_written_as_an_escape_is_left_to_the_models(escape: str) -> None:
    assert recognised(written(order=f'"a{escape}b"'), most=9) is None
    assert recognised(written(order='"a\\u00e9b"'), most=9) == [UUID(ID)]
    hidden = written(more=f',"{escape}ype":"page_view"')
    assert recognised(hidden, most=9) is None


MOMENTS = (
    "2026-11-24 10:00:00Z", "2026-11-24t10:00:00z", "2026-11-24T10:00Z", "2026-11-24T10:00:00+0100", "2026-11-24T10:00:00+01",
    "2026-11-24T10:00:00.1234567Z", "2026-11-24T10:00:00.123456789012Z", "2026-11-24T23:59:60Z", "2026-11-24T24:00:00Z",
    "2026-02-30T10:00:00Z", "2026-11-24T10:00:00-00:00", "2026-11-24T10:00:00+23:59", "2026-11-24T10:00:00+24:00",
    "2026-11-24T10:00:00,5Z", "2026-11-24T10:00:00", "2026-11-24", "20261124T100000Z", "1764000000",
    "2026-11-24T10:00:00.Z", "2026-11-24T10:00:00+05:60", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00",
    "1971-01-01T00:00:00+01:00", "2199-12-31T23:00:00-02:00", "2198-12-31T23:00:00-23:00", "2200-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
)  # fmt: skip
NUMBERS = (
    "1.0", "1e3", "1E0", "01", "-0", "0", "-1", "true", '"1"', "null", "1000000", "1000001", "4611686018427387904",
    "4611686018427387905", "9223372036854775808", "99999999999999999999", "1.5", "NaN", "Infinity", "[]", "{}",
)  # fmt: skip
TEXTS = (
    '"\x01"', '"\t"', '"a\nb"', '"\x00"', '"\x7f"', '"\\b\\f\\n\\r\\t\\/"', '"\\x41"', "'a'", '""', "1", "null",
    '"%s"' % ("é" * 200), '"%s"' % ("é" * 201), '"%s"' % ("😀" * 200), '"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00\\ud800"',
)  # fmt: skip
AMOUNTS = (
    '"1"', '"1."', '".5"', '"1.00\\n"', '"1.000"', '"12345678901"', '"1234567890.12"', '"١.00"', "1.00", '"1.00 "', '"-1"',
    '"+1"', '" 1"', "null",
)  # fmt: skip
MORE = (
    ',"type":"page_view"', ',"type":"order_placed"', ',"customer_id":2', ',"customer_id":-2', ',"payload":{}', ',"x":1', ",",
    ',"event_id":"x"', ',"event_id":null', f',"event_id":"{ID.upper()}"', f',"event_id":"{ID.replace("-", "")}"',
    f',"event_id":"{{{ID}}}"', f',"event_id":"urn:uuid:{ID}"', ',"event_id":"6f1c2f0e5c1b-4e3a-9a53-0d6f6f1f2a10"',
    ',"payload":{"order_id":"A","amount_usd":"1.00","order_id":""}', ',"occurred_at":"never"',
)  # fmt: skip
WRITTEN = (
    [written(when=f'"{one}"') for one in MOMENTS] + [written(customer=one) for one in NUMBERS]
    + [written(units=one) for one in NUMBERS] + [written(order=one) for one in TEXTS]
    + [written(amount=one) for one in AMOUNTS] + [written(more=one) for one in MORE]
    + [b"", b"[", b"[]", b"[{}]", b"{}", b"null", b"[null]", b"[1]", b"\xff", b"[]x", b"\xef\xbb\xbf" + written(),
       written() + b" x", written()[:-1] + b",]", written(order='"é"').decode().encode("latin-1")]
)  # fmt: skip


@pytest.mark.parametrize("body", WRITTEN, ids=range(len(WRITTEN)))
def test_what_the_models_refuse_is_not_recognised(body: bytes) -> None:
    assert recognised(body, most=1000) is None or right(body)


def test_most_of_what_is_right_is_recognised() -> None:
    """What is left to the models is rare: an id as a URN, a moment without seconds."""
    sides = [recognised(body, most=1000) is not None for body in WRITTEN if right(body)]
    assert sum(sides) > 0.7 * len(sides) > 20


KINDS = st.sampled_from(sorted(PAYLOADS))
JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.datetimes().map(datetime.isoformat),
    st.text("0123456789.", max_size=14), st.sampled_from(["email", "page_view", "1.00", "-1", "\x00", {}, []]),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(data=st.data(), kind=KINDS, ascii_only=st.booleans())
def test_of_events_with_changed_fields_none_is_recognised_that_the_models_refuse(
    data: st.DataObject, kind: str, ascii_only: bool
) -> None:
    one = event(kind, payload=dict(PAYLOADS[kind]))
    for place in (one, one["payload"]):
        for name in data.draw(st.lists(st.sampled_from([*place, "strange"]), max_size=2, unique=True)):
            if data.draw(st.booleans()):
                place.pop(name, None)
            else:
                place[name] = data.draw(JSON)
    body = text(event(), one, ascii_only=ascii_only)
    assert recognised(body, most=9) is None or right(body)
