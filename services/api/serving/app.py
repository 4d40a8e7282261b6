"""The application: its routes, what they need, and what it tells of itself."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg_pool import PoolTimeout

from leandata.database import async_pool
from leandata.settings import Settings
from serving import catalog, customers, events, figures, live, predictions
from serving.access import Keyring, needs
from serving.answers import Answers
from serving.customers import Cursors
from serving.description import describe
from serving.exports import Exports
from serving.inbox import Inbox
from serving.limits import LARGEST_BODY, LimitBody, LimitHead, Measure
from serving.live import Live
from serving.problems import Problem, problem, told_as_problems

_POOL = 4
_BETWEEN_COLLECTIONS = 20_000
"""Objects; Python's 700 are those of two batches."""
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No valid key"},
    403: {"model": Problem, "description": "The key has not the scope"},
    422: {"model": Problem, "description": "A value that cannot be meant, or a parameter that this route has not"},
    429: {"model": Problem, "description": "Too many requests; `Retry-After` says how many seconds to wait"},
    431: {"model": Problem, "description": "The head of the request is larger than 64 KiB, or has over 100 headers"},
    503: {"model": Problem, "description": "The database does not answer; `Retry-After` says when to try again"},
}
_ROUTERS = (
    (events.router, "events:write"),
    (live.router, "events:read"),
    (figures.router, "figures:read"),
    (customers.router, "customers:read"),
    (predictions.router, "customers:read"),
    (catalog.freshness, "figures:read"),
    (catalog.export, "export:read"),
)


def create(settings: Settings) -> FastAPI:
    """The application for these settings. Raises SettingsError when one is missing."""
    addresses = {"events": settings.events, "serving": settings.serving}
    key = settings.secret("API_KEY_FILE")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        pools = {name: async_pool(address, size=_POOL) for name, address in addresses.items()}
        for pool in pools.values():
            await pool.open(wait=False)
        app.state.settings = settings
        app.state.pools = pools
        app.state.inbox = Inbox(pools["events"])
        app.state.keyring = Keyring(pools["events"], bootstrap=key)
        app.state.answers = Answers(pools["serving"])
        app.state.exports = Exports(addresses["serving"])
        app.state.cursors = Cursors(key)
        app.state.live = Live(pools["events"])
        app.state.live.start()
        _spare_the_collector()
        yield
        await app.state.live.close()
        await app.state.inbox.close()
        for pool in pools.values():
            await pool.close()

    app = FastAPI(
        title="leandata API",
        version="1",
        description="Events in, figures out.",
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(LimitBody, largest=LARGEST_BODY)
    app.add_middleware(LimitHead)
    app.add_middleware(Measure)
    for router, scope in _ROUTERS:
        app.include_router(router, dependencies=[Depends(needs(scope))], responses=_REFUSALS)
    _operations(app)
    told_as_problems(app)
    describe(app)
    return app


def _spare_the_collector() -> None:
    """What is there by now stays, and is looked through no more; of what comes, little is garbage in cycles.

    A process with FastAPI and its models holds so many objects that half of a batch's time went into collections.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_BETWEEN_COLLECTIONS, 10, 100)


def _operations(app: FastAPI) -> None:
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
                return problem(503, f"The database {name} does not answer.", title="Not ready")
        return PlainTextResponse("ready")

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        del request
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
