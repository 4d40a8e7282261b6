"""A real Dask cluster on loopback: a scheduler and workers of one thread each."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.provider import health
from infra.testing import parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Dask:
    """Where the scheduler listens, and the processes of its workers, which may be killed."""

    address: str
    workers: tuple[subprocess.Popen[bytes], ...]


@contextlib.contextmanager
def cluster(folder: Path, *, workers: int = 1, environ: Mapping[str, str] | None = None) -> Generator[Dask]:
    """A cluster whose workers have these variables besides; it writes under `folder`."""
    port, page, log = parts.free_port(), parts.free_port(), folder / "dask.log"
    address = f"tcp://127.0.0.1:{port}"
    scheduler = [
        *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)),
        *("--dashboard-address", f"127.0.0.1:{page}"),
    ]
    worker = [
        *("/usr/bin/env", *(f"{name}={value}" for name, value in sorted((environ or {}).items()))),
        *(sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"),
        *("--no-dashboard", "--local-directory", str(folder), "--host", "127.0.0.1"),
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(parts.running(scheduler, ready=lambda: health.accepts(port), log=log))
        started = [stack.enter_context(parts.running(worker, ready=lambda: True, log=log)) for _ in range(workers)]
        yield Dask(address=address, workers=tuple(started))
