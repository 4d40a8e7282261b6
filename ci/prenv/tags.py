"""The tag of a pull request's environment: all that is needed to know when it ends and what is its."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from leandata.errors import LeandataError

FILE = "pr.json"
LIFE = timedelta(days=3)
PORTS = 20
_FIRST, _LAST = 24_000, 31_980
_LARGEST = 999_999


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """Whose environment it is (`number` of the pull request, `commit`), where it listens, and `until` when it lives."""

    number: int
    commit: str
    port_base: int
    until: datetime

    def text(self) -> str:
        """The tag as it is written down."""
        found = {**asdict(self), "until": self.until.isoformat(), "version": 1}
        return json.dumps(found, sort_keys=True) + "\n"

    @classmethod
    def parse(cls, text: str, *, place: str) -> Tag:
        """The tag that was written down. Raises LeandataError that names the place."""
        try:
            read = json.loads(text)
            until = datetime.fromisoformat(read["until"])
            return cls(
                number=int(read["number"]), commit=str(read["commit"]), port_base=int(read["port_base"]),
                until=until if until.tzinfo else until.replace(tzinfo=UTC),
            )  # fmt: skip
        except (ArithmeticError, ValueError, KeyError, TypeError) as error:
            raise LeandataError(
                "the tag cannot be read", where=place, hint="Write it again, or remove its folder"
            ) from error


def number(text: str) -> int:
    """The number of a pull request. Raises LeandataError for what is none."""
    digits = text.lstrip("0") if text.isascii() and text.isdecimal() else ""
    if len(digits) > len(str(_LARGEST)) or not 0 < int(digits or 0) <= _LARGEST:
        raise LeandataError(f"{text!r} is no pull request", hint="N is its number, such as N=7")
    return int(digits)


def folder(beside: Path, found: int) -> Path:
    """Where the environment of that pull request lies: beside the state folder of the one that it is a copy of."""
    return beside.parent / f"pr-{found}"


def read_all(beside: Path) -> list[Tag]:
    """Every tag beside that state folder, by number. Raises LeandataError for one that cannot be read."""
    places = sorted(beside.parent.glob(f"pr-*/{FILE}"))
    found = [Tag.parse(place.read_text(encoding="utf-8", errors="replace"), place=str(place)) for place in places]
    return sorted(found, key=lambda tag: tag.number)


def expired(tags: Iterable[Tag], *, now: datetime) -> list[int]:
    """The pull requests whose environments have lived long enough, sorted. Decided by tags alone."""
    return sorted(tag.number for tag in tags if tag.until <= now)


def free_base(tags: Sequence[Tag], *, taken: Iterable[int]) -> int:
    """The first of twenty ports in a row that are no other environment's and where nobody listens.

    Raises LeandataError when there are none left.
    """
    closed = set(taken) | {tag.port_base + offset for tag in tags for offset in range(PORTS)}
    for base in range(_FIRST, _LAST, PORTS):
        if closed.isdisjoint(range(base, base + PORTS)):
            return base
    raise LeandataError("no ports are left for another environment", hint="make pr-env SWEEP=yes")
