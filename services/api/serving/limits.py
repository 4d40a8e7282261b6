"""What surrounds every request: how large its head and its body may be, and how requests are counted and timed."""

from __future__ import annotations

import contextlib
import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import problem

LARGEST_BODY = 2**20
LARGEST_HEAD = 64 * 1024
MOST_HEADERS = 100
_REQUESTS = Counter("leandata_api_requests_total", "Answers by route and status", ["route", "status"])
_SECONDS = Histogram("leandata_api_request_seconds", "Seconds until the answer began", ["route"])


class Measure:
    """Counts answers by route and status, and times how long they took to begin; never what was asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                _REQUESTS.labels(route, str(message["status"])).inc()
                _SECONDS.labels(route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, noted)


class LimitHead:
    """Refuses a request with many or long headers: frameworks search them again and again, ten thousand for minutes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = scope["headers"]
            size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
            size += sum(len(name) + len(value) for name, value in headers)
            if len(headers) > MOST_HEADERS or size > LARGEST_HEAD:
                detail = f"A request has at most {MOST_HEADERS} headers, and a head of at most {LARGEST_HEAD} bytes."
                await problem(431, detail)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class LimitBody:
    """Refuses a body of more than `largest` bytes, said beforehand or found while it comes in."""

    def __init__(self, app: ASGIApp, *, largest: int) -> None:
        self._app, self._largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if said.isdecimal() and int(said) > self._largest:
            await self._refuse(scope, receive, send)
            return
        came, answered = 0, False

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._largest:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            if came <= self._largest:
                answered = True
                await send(message)

        with contextlib.suppress(_TooLargeError):
            await self._app(scope, counted, noted)
        if came > self._largest and not answered:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await problem(413, f"A body has at most {self._largest} bytes.")(scope, receive, send)


class _TooLargeError(Exception):
    """The body is larger than allowed."""
