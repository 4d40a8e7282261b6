"""Bring a cluster to what is wanted: everything as soon as what it needs is ready, and no sooner."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ci.cluster_test.objects import Item
from ci.cluster_test.ready import State
from leandata.errors import LeandataError

Say = Callable[[str], None]
_TIMEOUT = 600.0
_LONG_KINDS = {"Job": 900.0}
_WORTH_TELLING = 2.0


class Target(Protocol):
    """A cluster, as far as bringing it about needs it."""

    def apply(self, item: Item) -> str:
        """Make it or change it; "created", "changed" or "unchanged". Raises LeandataError when it is refused."""
        ...

    def state(self, item: Item) -> State:
        """Whether it is ready."""
        ...

    def explain(self, item: Item) -> list[str]:
        """Lines that help a person to see why it is not: events, the end of its pods' logs."""
        ...


class Clock(Protocol):
    """Seconds that pass."""

    def now(self) -> float: ...

    def wait(self, seconds: float) -> None: ...


class WallClock:
    """The real time."""

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(kw_only=True, slots=True)
class Done:
    """What was done, by what `Target.apply` said: the keys of the items, in the order in which they were applied."""

    created: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])


def bring(
    wanted: Mapping[str, Item],
    target: Target,
    *,
    say: Say,
    clock: Clock | None = None,
    timeout: float = 0.0,
) -> Done:
    """Apply all items and wait for each; `timeout` seconds for one item, 0 for those of its kind.

    Raises LeandataError naming the first item that was refused, has failed or is late, after lines that explain it.
    """
    clock = clock or WallClock()
    done, ready, since = Done(), set[str](), dict[str, float]()
    while len(ready) < len(wanted):
        moved = False
        for urn, item in wanted.items():
            if urn not in since and item.needs <= ready:
                getattr(done, target.apply(item)).append(str(item.key))
                since[urn] = clock.now()
                moved = True
            if urn in since and urn not in ready and _is_ready(item, target, say, clock.now() - since[urn], timeout):
                ready.add(urn)
                moved = True
        if not moved:
            clock.wait(1.0)
    return done


def _is_ready(item: Item, target: Target, say: Say, waited: float, timeout: float) -> bool:
    found = target.state(item)
    if found.ready:
        if waited >= _WORTH_TELLING:
            say(f"{item.stack:<10} {item.key} ready after {waited:.0f} s")
        return True
    longest = timeout or _LONG_KINDS.get(item.key.kind, _TIMEOUT)
    if not found.failed and waited < longest:
        return False
    for line in target.explain(item):
        say(f"{'':<10} {line}")
    what = "has failed" if found.failed else f"is not ready after {waited:.0f} s"
    raise LeandataError(f"{item.key} {what}: {found.why}", where=f"stack {item.stack}")
