"""One deployment of a cloud environment at a time: a lease in its state bucket, renewed while the deployment lives.

The lease is one object. It is made, taken over and given up by conditional writes only, so of two who want it one gets
it. Who is killed leaves it until it ends by itself; a lease that has not ended is never broken.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from ci.ending import terminable
from ci.locks import LockedError
from ci.release.people import who
from ci.release.store import TakenError
from leandata.errors import LeandataError

KEY = "deploy.lock"
SECONDS = 90.0
"""How long a lease lasts after it was last renewed."""
MARGIN = 30.0
"""By how many seconds clocks may differ: so much later than its end a lease may be taken over."""
_RENEWALS = 6  # so many times within its length a lease is renewed


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who holds the lease: `owner` for people, `since` and `until` in epoch seconds; `until` 0 is given up."""

    owner: str
    host: str
    pid: int
    since: float
    until: float
    token: str

    @classmethod
    def me(cls, *, now: float, seconds: float = SECONDS) -> Holder:
        """This process, from now on."""
        token = uuid.uuid4().hex
        return cls(owner=who(), host=socket.gethostname(), pid=os.getpid(), since=now, until=now + seconds, token=token)

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> Holder:
        """Raises LeandataError for what no holder wrote."""
        try:
            found: dict[str, Any] = json.loads(text)
            holder = cls(**found)
            for moment in (holder.since, holder.until):
                datetime.fromtimestamp(moment, UTC)
            return holder
        except (ValueError, TypeError, OverflowError, OSError) as error:
            hint = "Look who deploys; remove the object when nobody does"
            raise LeandataError("the lock of deployments is damaged", where=KEY, hint=hint) from error


class Objects(Protocol):
    """What of a store the lease needs: see `ci.release.store.Store`."""

    def get(self, key: str) -> tuple[str, str]: ...

    def create(self, key: str, text: str) -> str: ...

    def replace(self, key: str, text: str, *, tag: str) -> str: ...


def free(holder: Holder, *, now: float) -> bool:
    """Whether the lease may be taken over: it was given up, or it ended longer ago than clocks may differ."""
    return holder.until == 0 or now > holder.until + MARGIN


def told(holder: Holder, *, now: float) -> str:
    """Who holds the lease and how long still, for people."""
    since = datetime.fromtimestamp(holder.since, UTC)
    left = max(0, round(holder.until + MARGIN - now))
    by = f"{holder.owner} (pid {holder.pid} on {holder.host})"
    return f"is being deployed since {since:%Y-%m-%d %H:%M:%S} UTC by {by}; its lease ends in {left} s if it is dead"


class Lease:
    """The lease of one environment, held by this process between `take` and `give_up`."""

    def __init__(
        self, objects: Objects, *, environment: str, seconds: float = SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._objects, self._environment, self._seconds, self._clock = objects, environment, seconds, clock
        self._mine, self._tag = Holder.me(now=clock(), seconds=seconds), ""
        self._mutex = threading.Lock()

    def take(self, *, say: Callable[[str], None]) -> bool:
        """Take the lease; `say` hears whose ended one was taken over, and True says that one was.

        Raises LockedError while another holds it.
        """
        now = self._clock()
        self._mine = replace(self._mine, since=now, until=now + self._seconds)
        text, tag = self._objects.get(KEY)
        before = Holder.read(text) if text else None
        if before is not None and not free(before, now=now):
            raise self._held(before)
        if not self._write(self._mine, tag=tag):
            text, _ = self._objects.get(KEY)
            raise self._held(Holder.read(text)) if text else LockedError("another deployment began now")
        if before is None or not before.until:
            return False
        by = f"{before.owner} (pid {before.pid} on {before.host})"
        ended = datetime.fromtimestamp(before.until, UTC)
        say(f"the lease of {by} ended at {ended:%H:%M:%S} UTC without being given up: taken over")
        return True

    def renew(self) -> bool:
        """Renew the lease; False when it is not ours any more. Raises LeandataError when the bucket is not reached."""
        with self._mutex:
            mine = replace(self._mine, until=self._clock() + self._seconds)
            renewed = self._write(mine, tag=self._tag)
            self._mine = mine if renewed else self._mine
            return renewed

    def give_up(self) -> None:
        """Give the lease up, if it is still ours. Raises LeandataError when the bucket is not reached."""
        with self._mutex:
            self._write(replace(self._mine, until=0), tag=self._tag)

    @property
    def until(self) -> float:
        """When it ends unless it is renewed, in epoch seconds."""
        return self._mine.until

    def now(self) -> float:
        """The time by the clock that the lease goes by, in epoch seconds."""
        return self._clock()

    @property
    def pause(self) -> float:
        """Seconds between two renewals."""
        return self._seconds / _RENEWALS

    def _write(self, mine: Holder, *, tag: str) -> bool:
        """Write ourselves over the object of that tag ("" = none); False when another is there."""
        try:
            self._tag = (
                self._objects.replace(KEY, mine.text(), tag=tag) if tag else self._objects.create(KEY, mine.text())
            )
        except TakenError:
            # A write of ours whose answer was lost is tried again by the client, and then finds itself.
            text, found = self._objects.get(KEY)
            if text != mine.text():
                return False
            self._tag = found
        return True

    def _held(self, holder: Holder) -> LockedError:
        what = f"{self._environment} {told(holder, now=self._clock())}"
        return LockedError(what, hint="Wait for it, then try again")


@contextmanager
def held(lease: Lease, *, say: Callable[[str], None], lost: Callable[[], None]) -> Generator[bool]:
    """Hold the lease, renewed by a thread; given up at the end, also after SIGTERM. Raises LockedError.

    The value says whether it was taken over from one who never gave it up. `lost` is called once when it could not be
    renewed until shortly before its end, or is not ours any more: what is being done must end then.
    """
    with terminable():
        taken_over = lease.take(say=say)
        ended = threading.Event()
        thread = threading.Thread(target=_renewing, args=[lease, ended, lost], daemon=True)
        thread.start()
        try:
            yield taken_over
        finally:
            ended.set()
            thread.join()
            lease.give_up()


def _renewing(lease: Lease, ended: threading.Event, lost: Callable[[], None]) -> None:
    pause = lease.pause
    while not ended.wait(pause):
        try:
            if lease.renew():
                continue
        except LeandataError:
            if lease.now() < lease.until - 2 * pause:
                continue  # the bucket was not reached; there is time to try again
        lost()
        return
