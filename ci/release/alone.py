"""One operation on an environment at a time, whichever machine it is begun on."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from ci.engine import Engine
from ci.locks import hold
from ci.progress import say
from ci.release.lease import Lease, held
from ci.release.store import Store


@contextmanager
def alone(engine: Engine, *, store: Store | None = None) -> Generator[Engine]:
    """The engine, while nobody else deploys or destroys its environment. Raises LockedError with who does.

    State in a folder is locked by a file that is free when its process ends. State in a bucket is locked by a lease: a
    killed deployment's ends by itself, and what it left locked in the bucket is cleared then. `store` is where that
    lease lies, if not in the environment's own bucket.
    """
    if engine.bucket is None:
        engine.prepare()
        with hold(engine.folder / "locks" / "environment.lock", what=engine.environment.name):
            yield engine
        return
    lease = Lease(store or Store.of(engine.environment), environment=engine.environment.name)
    with held(lease, say=say, lost=_lost) as taken_over:
        yield replace(engine, inherits=taken_over)


def _lost() -> None:
    say("the lease of this deployment could not be renewed: it ends now, so that no other goes on beside it")
    os.kill(os.getpid(), signal.SIGTERM)
