"""A bucket of the S3 stand-in, and an engine whose state lies in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from ci.engine import Engine
from infra.standins.lake.application import application
from infra.standins.lake.store import Store
from infra.testing.parts import free_port

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_REGION": "eu-central-1",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}  # fmt: skip


@dataclass(frozen=True)
class LocalBucket:
    """A bucket of the S3 stand-in, as the engine is told of a real one."""

    port: int
    secrets_provider: str = "passphrase"

    @property
    def url(self) -> str:
        return f"s3://state?endpoint=127.0.0.1:{self.port}&disableSSL=true&s3ForcePathStyle=true&region=eu-central-1"


@dataclass(frozen=True, kw_only=True)
class BucketEngine(Engine):
    """An engine whose state lies in the stand-in's bucket."""

    port: int

    @property
    def bucket(self) -> Any:
        return LocalBucket(self.port)


@dataclass(frozen=True)
class S3:
    """A running stand-in; `written` are the requests that change something: method and path."""

    port: int
    written: list[tuple[str, str]]


@contextmanager
def serving(folder: Path) -> Generator[S3]:
    """The stand-in with the bucket `state`, while it is needed."""
    inner = application(Store(folder, buckets=("state",)))
    written: list[tuple[str, str]] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            written.append((scope["method"], scope["path"]))
        await inner(scope, receive, send)

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(noting, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield S3(port=port, written=written)
    finally:
        server.should_exit = True
        thread.join()
