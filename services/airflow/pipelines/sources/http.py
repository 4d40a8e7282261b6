"""Answers of an HTTP API: page by page, patiently where it asks for patience, again where it fails."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from leandata.errors import DatabaseError
from leandata.settings import read_secret
from pipelines.sources.declaration import HttpPath

_TRIES = 6
_LONGEST_WAIT = 120.0
_MOST_PAGES = 100_000
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TIMEOUT = 60.0


class _AgainError(Exception):
    """Something that another try may do away with; `wait` is how many seconds the API asks for, 0 where it does not."""

    def __init__(self, what: str, *, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


class Api:
    """An API; `?token_file=PATH` in its address is where the token lies that it is asked with."""

    def __init__(self, client: httpx.Client, base: str, *, sleep: Callable[[float], None]) -> None:
        self._client, self._base, self._sleep = client, base, sleep

    def rows(self, part: HttpPath, *, day: date | None = None) -> list[dict[str, Any]]:
        """All items of a path, of this day where it is asked by days. Raises DatabaseError when it is not had whole."""
        told = {"day": day.isoformat()} if day else {}
        query = {key: value.format(**told) for key, value in part.query.items()}
        url: str | None = urllib.parse.urljoin(f"{self._base}/", part.path.format(**told).lstrip("/"))
        found: list[dict[str, Any]] = []
        for number in range(1, _MOST_PAGES + 1):
            paged = {**query, part.page: str(number)} if part.paging == "page" else query
            response, said = self._get(str(url), paged if number == 1 or part.paging != "link" else {})
            items = _at(said, part.items)
            if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
                raise DatabaseError(f"the answer has no list of objects at {part.items or 'its top'}", where=str(url))
            found += items
            follow = _next(part, response, said, items)
            if follow is None:
                return found
            if part.paging == "link":
                url = urllib.parse.urljoin(str(url), follow)
            elif part.paging == "cursor":
                query = {**query, part.page: follow}
        raise DatabaseError(f"the pages do not end after {_MOST_PAGES}", where=str(url))

    def _get(self, url: str, query: Mapping[str, str]) -> tuple[httpx.Response, Any]:
        trying = Retrying(
            retry=retry_if_exception_type(_AgainError), stop=stop_after_attempt(_TRIES), wait=_wait, sleep=self._sleep,
            reraise=True,
        )  # fmt: skip
        try:
            return trying(self._once, url, query)
        except _AgainError as error:
            raise DatabaseError(f"the API gives no answer after {_TRIES} tries: {error}", where=url) from error

    def _once(self, url: str, query: Mapping[str, str]) -> tuple[httpx.Response, Any]:
        try:
            response = self._client.get(url, params=dict(query) or None)
        except httpx.TransportError as error:
            raise _AgainError(f"{type(error).__name__}: {error}") from error
        if response.status_code in _AGAIN:
            raise _AgainError(f"HTTP {response.status_code}", wait=_asked_for(response))
        if response.status_code != 200:
            raise DatabaseError(f"the API answers {response.status_code}: {response.text[:200]}", where=url)
        try:
            return response, json.loads(response.text, parse_float=Decimal)
        except ValueError as error:
            raise DatabaseError("the API's answer is no JSON", where=url) from error


@contextmanager
def opened(address: str, *, sleep: Callable[[float], None] = time.sleep) -> Generator[Api]:
    """The API at `https://host/base[?token_file=PATH]`; it goes to no other host with its token."""
    parts = urllib.parse.urlsplit(address)
    files = urllib.parse.parse_qs(parts.query).get("token_file", [])
    headers = {"Accept": "application/json"}
    if files:
        headers["Authorization"] = f"Bearer {read_secret(Path(files[0]))}"
    base = urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    with httpx.Client(headers=headers, timeout=_TIMEOUT, follow_redirects=False) as client:
        yield Api(client, base, sleep=sleep)


def _next(part: HttpPath, response: httpx.Response, said: Any, items: list[Any]) -> str | None:
    """What leads to the next page, None after the last."""
    if part.paging == "page":
        return "" if items else None
    if part.paging == "cursor":
        value = _at(said, part.next)
        return str(value) if value not in (None, "", False) else None
    if part.paging == "link":
        url = response.links.get("next", {}).get("url")
        if url and response.url.join(url).netloc != response.url.netloc:
            raise DatabaseError(f"the next page is on another host: {url}", where=str(response.url))
        return url
    return None


def _at(said: Any, way: str) -> Any:
    for name in way.split(".") if way else ():
        said = said.get(name) if isinstance(said, dict) else None  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]
    return said


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _AgainError) else 0.0
    return min(_LONGEST_WAIT, max(asked, 0.5 * 2**state.attempt_number))


def _asked_for(response: httpx.Response) -> float:
    """Seconds by the header Retry-After, a number or a date (RFC 9110, 10.2.3)."""
    said = response.headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
