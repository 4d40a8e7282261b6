"""What is to be taken away in the cloud: decided by the tags of what is listed, and by nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from leandata.errors import LeandataError

PR, UNTIL = "leandata.io/pr", "leandata.io/until"
_MOMENT = "%Y-%m-%dT%H%MZ"
# Who uses something goes before it.
_ORDER = ("namespace", "association", "user", "database", "warehouse", "monitor", "role", "secret", "objects")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tagged:
    """One thing that lies in a cloud, with its tags: a namespace, an IAM role, a database of Snowflake, a prefix."""

    kind: str
    name: str
    tags: dict[str, str]

    @property
    def number(self) -> int:
        """Whose it is; 0 for what belongs to no pull request."""
        text = self.tags.get(PR, "")
        return int(text) if re.fullmatch(r"[1-9][0-9]{0,5}", text) else 0


def load(file: Path) -> list[Tagged]:
    """What lies there, from a file: a list of {"kind", "name", "tags"}. Raises LeandataError."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(read, list):
            raise ValueError("no list")
        return [
            Tagged(
                kind=str(one["kind"]),
                name=str(one["name"]),
                tags={key: str(value) for key, value in one["tags"].items()},
            )
            for one in read
        ]
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise LeandataError("what is tagged cannot be read", where=str(file)) from error


def ended(listed: Iterable[Tagged], *, now: datetime) -> list[Tagged]:
    """Those whose time is over, in the order in which they can be removed. One without a readable end is kept."""
    found = [one for one in listed if one.number and (until := _until(one)) is not None and until <= now]
    return sorted(found, key=_place)


def of(listed: Iterable[Tagged], number: int) -> list[Tagged]:
    """All that carries the tag of this pull request: what is to be removed, and afterwards the proof that it is."""
    return sorted((one for one in listed if one.number == number), key=_place)


def unreadable(listed: Iterable[Tagged]) -> list[Tagged]:
    """What says that it belongs to a pull request and does not say until when: a person looks at it."""
    return sorted((one for one in listed if PR in one.tags and (not one.number or _until(one) is None)), key=_place)


def _until(one: Tagged) -> datetime | None:
    try:
        return datetime.strptime(one.tags.get(UNTIL, ""), _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _place(one: Tagged) -> tuple[int, str, str]:
    return (_ORDER.index(one.kind) if one.kind in _ORDER else len(_ORDER), one.kind, one.name)
