"""What is computed of each dataset beside its contract: checks, what it is made from, and who uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leandata.datasets import CATALOG

_FILE = Path(__file__).with_suffix(".json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A dataset's place: names of its checks; tables and sources before it; tables, routes, pages, mails after it."""

    checks: tuple[str, ...] = ()
    made_from: tuple[str, ...] = ()
    goes_into: tuple[str, ...] = ()


def entries() -> Mapping[str, Entry]:
    """Every dataset's entry, as `make catalogue` wrote it; one that it did not know then has an empty one."""
    known = json.loads(_FILE.read_text(encoding="utf-8"))["datasets"]
    return {
        name: Entry(**{key: tuple(values) for key, values in known.get(name, {}).items()}) for name in sorted(CATALOG)
    }
