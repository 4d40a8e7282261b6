"""The application: routes, what they need, and how errors are told (RFC 9457, problem+json)."""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import psycopg
from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leandata.database import async_pool
from leandata.settings import Settings
from serving import events, figures

LARGEST_BODY = 2**20
_POOL = 4
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
}
_REQUESTS = Counter("leandata_api_requests_total", "Answers by route and status", ["route", "status"])
_SECONDS = Histogram("leandata_api_request_seconds", "Seconds until the answer", ["route"])


def create(settings: Settings) -> FastAPI:
    """The application for these settings. Raises SettingsError when one is missing."""
    addresses = {"events": settings.events, "serving": settings.serving}
    key = settings.secret("API_KEY_FILE")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        pools = {name: async_pool(address, size=_POOL) for name, address in addresses.items()}
        for pool in pools.values():
            await pool.open(wait=False)
        app.state.pools = pools
        app.state.inbox_ready = False
        yield
        for pool in pools.values():
            await pool.close()

    app = FastAPI(title="leandata API", version="1", description="Events in, figures out.", lifespan=lifespan)
    app.add_middleware(LimitBody, largest=LARGEST_BODY)
    keyed = [Depends(_key(key))]
    app.include_router(events.router, dependencies=keyed)
    app.include_router(figures.router, dependencies=keyed)
    _operations(app)
    _problems(app)
    return app


class LimitBody:
    """Refuses a body of more than `largest` bytes, said beforehand or found while it comes in."""

    def __init__(self, app: ASGIApp, *, largest: int) -> None:
        self._app, self._largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = problem(413, "Content Too Large", f"A body has at most {self._largest} bytes.")
        said = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if said.isdecimal() and int(said) > self._largest:
            await refusal(scope, receive, send)
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
            await refusal(scope, receive, send)


class _TooLargeError(Exception):
    """The body is larger than allowed."""


def problem(status: int, title: str, detail: str = "", **headers: str) -> JSONResponse:
    """An error as problem+json."""
    body = {"type": "about:blank", "status": status, "title": title, "detail": detail}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(body, status_code=status, media_type="application/problem+json", headers=named)


def _key(expected: str) -> Any:
    def check(
        x_api_key: Annotated[str, Header()] = "", authorization: Annotated[str, Header(include_in_schema=False)] = ""
    ) -> None:
        given = x_api_key or authorization.removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise HTTPException(401, "Send the key of this API in the header X-API-Key.")

    return check


def _operations(app: FastAPI) -> None:
    @app.middleware("http")
    async def measure(request: Request, call_next: Any) -> Response:  # pyright: ignore[reportUnusedFunction]
        with _SECONDS.labels("all").time():
            response = await call_next(request)
        route = request.scope.get("route")
        _REQUESTS.labels(getattr(route, "path", "unknown"), str(response.status_code)).inc()
        return response

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse("ok")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:  # pyright: ignore[reportUnusedFunction]
        for name, pool in app.state.pools.items():
            try:
                async with pool.connection(timeout=2) as connection:
                    await connection.execute("SELECT 1")
            except (psycopg.Error, PoolTimeout):
                return problem(503, "Not ready", f"The database {name} does not answer.")
        return PlainTextResponse("ready")

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _problems(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        del request
        told = {name.replace("-", "_"): value for name, value in (error.headers or {}).items()}
        return problem(error.status_code, _TITLES.get(error.status_code, "Error"), str(error.detail), **told)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:  # pyright: ignore[reportUnusedFunction]
        del request
        found = [
            {"where": ".".join(str(part) for part in item["loc"]), "why": item["msg"]} for item in error.errors()[:20]
        ]
        return problem(422, "Unprocessable Content", json.dumps(found))

    async def unstorable(request: Request, error: Exception) -> Response:
        del request, error
        return problem(422, "Unprocessable Content", "The database cannot store a value in it, such as \\u0000 or NaN.")

    async def unavailable(request: Request, error: Exception) -> Response:
        del request, error
        return problem(503, "Service Unavailable", "The database does not answer; try again.", Retry_After="2")

    app.add_exception_handler(psycopg.DataError, unstorable)
    app.add_exception_handler(psycopg.Error, unavailable)
    app.add_exception_handler(PoolTimeout, unavailable)
