"""How the client of the API asks: one connection pool, patience with a busy server, errors of one line."""

from __future__ import annotations

import dataclasses
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import httpx

from leandata.errors import LeandataError

_TRIES = 4
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_AGAIN = frozenset({429, 503})


class ApiError(LeandataError):
    """The API refused a request, or did not answer; `status` is 0 in the second case."""

    def __init__(self, what: str, *, where: str, status: int, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(what, where=where)
        self.status = status
        self.problem = dict(problem or {})


class Transport:
    """Asks an API at `url` with `key`. Every request may be sent again: events have ids, all others only read."""

    def __init__(
        self, url: str, *, key: str, timeout: float = 30.0, tries: int = _TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        headers = {"X-API-Key": key, "User-Agent": "leandata-client/1"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._tries = max(1, tries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """The answer's JSON. Raises ApiError."""
        for left in reversed(range(self._tries)):
            try:
                answer = self._client.request(
                    method, path, params=_told(query), json=None if body is None else encode(body)
                )
            except httpx.TransportError as error:
                if not left:
                    raise ApiError(f"the API does not answer: {error}", where=path, status=0) from None
                time.sleep(_PAUSE_SECONDS)
                continue
            if answer.status_code in _AGAIN and left:
                time.sleep(_pause(answer))
                continue
            if answer.status_code >= 300:
                raise _refused(answer, path)
            return answer.json()
        raise AssertionError("unreachable")

    def _bytes(self, method: str, path: str, *, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The answer as it comes. Raises ApiError."""
        try:
            with self._client.stream(method, path, params=_told(query)) as answer:
                if answer.status_code >= 300:
                    answer.read()
                    raise _refused(answer, path)
                yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise ApiError(f"the API does not answer: {error}", where=path, status=0) from None


def decode(kind: Any, value: Any) -> Any:
    """The JSON `value` as a value of the type `kind`: a dataclass, a list, a date, a Decimal ...

    Unknown fields are left out, so that an older client reads a newer API.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return decode(next(one for one in get_args(kind) if one is not type(None)), value)
    if origin in (list, Sequence):
        return [decode(get_args(kind)[0], one) for one in value]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: decode(hint, value[name]) for name, hint in hints.items() if name in value})
    if kind in (date, datetime):
        return kind.fromisoformat(value)
    return kind(value) if kind in (Decimal, UUID) else value


def encode(value: Any) -> Any:
    """A value as JSON has it; fields that are None are left out."""
    if dataclasses.is_dataclass(value):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {name: encode(found) for name, found in fields.items() if found is not None}
    if isinstance(value, Mapping):
        return {name: encode(found) for name, found in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [encode(one) for one in value]
    if isinstance(value, date):  # a datetime too
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | UUID) else value


def _told(query: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: encode(value) for name, value in (query or {}).items() if value is not None}


def _pause(answer: httpx.Response) -> float:
    said = answer.headers.get("retry-after", "")
    return min(float(said), _LONGEST_PAUSE_SECONDS) if said.isdecimal() else _PAUSE_SECONDS


def _refused(answer: httpx.Response, path: str) -> ApiError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    said = problem.get("detail") or problem.get("title") or answer.reason_phrase
    return ApiError(str(said).rstrip("."), where=path, status=answer.status_code, problem=problem)
