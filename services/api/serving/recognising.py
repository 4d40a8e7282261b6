"""Batches that are right are recognised quickly; whatever is not recognised is judged, and told, by the models.

msgspec reads a batch in a quarter of pydantic's time and makes nothing that the garbage collector has to follow. Its
types are made from the models' JSON Schemas, so there is one description of an event. It may be stricter than the
models, never more lenient: a test holds the two against each other. A type of event whose schema says what is not known
here is left to the models: it is judged as right, only more slowly.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from serving.schemas import json_schemas

# In a text the null character is refused by the models. Any ASCII letter that is written as an escape is rare enough to
# be left to them too: so could a name be that of a field, given twice.
_ESCAPED = re.compile(rb"\\u00[0-7]")
_NO_NULL = r"^[^\x00]*$"
_YEARS = range(1971, 2199)
"""The models know the first and the last moment; at the edges the offset matters, which is theirs."""
_NONE = msgspec.Meta(max_length=0)
_TEXT = {"minLength": "min_length", "maxLength": "max_length"}
_NUMBER = {"minimum": "ge", "maximum": "le"}
_SAID = {"title", "description", "examples", "default", "type", "format", "pattern", "const", "enum"}
_TOLD = _SAID | {"formatMinimum", "formatExclusiveMaximum"}  # of `occurred_at`; see _YEARS


class _UnknownSchemaError(Exception):
    """A schema says what no schema of ours said before."""


def recognised(body: bytes, *, most: int) -> list[UUID] | None:
    """The ids of a batch of 1 to `most` events, all of them right; None where that is not certain."""
    if b"\\u00" in body and _ESCAPED.search(body):
        return None
    try:
        found = _decoder().decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not 1 <= len(found) <= most or any(one.occurred_at.year not in _YEARS for one in found):
        return None
    return [one.event_id for one in found]


@functools.cache
def _decoder() -> msgspec.json.Decoder[list[Any]]:
    return decoder(json_schemas())


def decoder(schemas: Mapping[str, Mapping[str, Any]]) -> msgspec.json.Decoder[list[Any]]:
    """What reads a list of events of these types by their JSON Schemas; of a schema that it does not know, none."""
    kinds: Any = None
    for name, found in sorted(schemas.items()):
        try:
            one = _struct(name, found, found.get("$defs", {}), tag=name)
        except _UnknownSchemaError:
            continue
        kinds = one if kinds is None else kinds | one
    return msgspec.json.Decoder(Annotated[list[kinds], _NONE] if kinds is None else list[kinds])


def _struct(name: str, found: Mapping[str, Any], known: Mapping[str, Any], *, tag: str | None = None) -> Any:
    """The closed object of a JSON Schema; its `type` is the tag by which msgspec tells the events apart."""
    _known(name, found.get("additionalProperties") is False)
    fields: list[Any] = []
    for field, schema in found["properties"].items():
        if tag is None or field != "type":
            missing = () if field in found.get("required", ()) else (None,)
            fields.append((field, _type(field, schema, known), *missing))
    field_of_tag = "type" if tag else None
    return msgspec.defstruct(
        name, fields, kw_only=True, gc=False, forbid_unknown_fields=True, tag=tag, tag_field=field_of_tag
    )


def _type(name: str, found: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """The type of a field. Raises _UnknownSchemaError for what no schema of ours said before."""
    if "$ref" in found:
        return _struct(name, known[found["$ref"].rpartition("/")[2]], known)
    if "anyOf" in found:
        first, *nothing = found["anyOf"]
        _known(name, nothing == [{"type": "null"}])
        return _type(name, first, known) | None
    if "enum" in found:
        return Literal[tuple(found["enum"])]
    _known(name, found.get("type") in ("integer", "string"))
    limits = _NUMBER if found["type"] == "integer" else _TEXT
    _known(name, set(found) <= _TOLD | set(limits))
    meta: dict[str, Any] = {limits[limit]: found[limit] for limit in limits if limit in found}
    if found["type"] == "integer":
        return Annotated[int, msgspec.Meta(**meta)]
    if found.get("format") == "uuid":
        return UUID
    if found.get("format") == "date-time":
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if found.get("pattern", _NO_NULL) != _NO_NULL:
        meta["pattern"] = found["pattern"].removesuffix("$") + r"\Z"  # where `$` also stands before a last line break
    return Annotated[str, msgspec.Meta(**meta)] if meta else str


def _known(name: str, expected: object) -> None:
    if expected is not True:
        raise _UnknownSchemaError(name)
