"""The API with two routes more, to be measured against: one that only parses events, one that does nothing.

Run by the measures of the API: `python -m ci.bench.api_server --port 8000`.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from leandata.settings import Settings
from serving.app import create


class Plain(BaseModel):
    """An event as a plain FastAPI route would take it."""

    event_id: UUID
    type: str
    occurred_at: datetime
    customer_id: int | None = None
    payload: dict[str, Any]


def application() -> FastAPI:
    """The application for this process's settings, with the routes to compare with."""
    app = create(Settings.load(os.environ))

    @app.post("/bench/parse", status_code=202)
    async def parse(events: list[Plain]) -> dict[str, int]:  # pyright: ignore[reportUnusedFunction]
        return {"accepted": len(events)}

    @app.get("/bench/empty")
    async def empty() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {}

    return app


def main() -> int:
    """Serve until told to stop, with the server's settings of the API itself."""
    parser = argparse.ArgumentParser(prog="python -m ci.bench.api_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the port to listen at")
    uvicorn.run(
        application(), host="127.0.0.1", port=parser.parse_args().port, log_config=None, access_log=False,
        server_header=False,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
