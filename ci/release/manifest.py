"""A release: what one successful deployment brought into an environment, and what two of them differ in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from leandata.errors import LeandataError

SCHEMA = 1
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{7}")
_NO_COMMIT = "0" * 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A dataset in the lake: how many slices were published, how many rows they hold, and the newest run."""

    slices: int
    rows: int
    newest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """What was deployed, and the data as it was then; moments are UTC, ISO 8601.

    `config` is a digest of the environment's file and the services' manifests, `dbt` of the dbt project, `serials` by
    stack, `lake` by zone and dataset. `warehouse` is the moment to which the warehouse can be looked back. `model` is
    the version of the purchase model that predictions were made with, "" where there was none. `uncommitted` says that
    files differed from the commit: such a release cannot be brought back. `plan` is the plan's fingerprint, "" for a
    deployment by hand. `stacks` are those that were deployed, `notes` what could not be found out, and `back_to` the id
    of the release that a rollback brought back.
    """

    id: str
    environment: str
    commit: str
    uncommitted: bool
    who: str
    when: str
    plan: str
    images: Mapping[str, str]
    config: str
    serials: Mapping[str, str]
    stacks: tuple[str, ...]
    dbt: str
    lake: Mapping[str, Published]
    model: str
    warehouse: str
    notes: tuple[str, ...] = ()
    back_to: str = ""
    schema: int = SCHEMA

    def text(self) -> str:
        """The manifest as JSON."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def read(cls, text: str, *, where: str = "") -> Self:
        """The release in a manifest. Raises LeandataError for what is none."""
        try:
            found: dict[str, Any] = json.loads(text)
            if found["schema"] != SCHEMA:
                raise LeandataError(f"the release has the schema version {found['schema']!r}", where=where)
            lake = {name: Published(**one) for name, one in found.pop("lake").items()}
            return cls(lake=lake, stacks=tuple(found.pop("stacks")), notes=tuple(found.pop("notes")), **found)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LeandataError("the manifest of a release is damaged", where=where) from error


def identify(commit: str, now: datetime) -> str:
    """The id of a release of `commit` at `now` (UTC): sorted as text, releases are sorted by time."""
    return f"{now:%Y%m%dT%H%M%SZ}-{(commit or _NO_COMMIT)[:7]}"


def is_id(text: str) -> bool:
    """Whether the text has the form of a release's id."""
    return _ID.fullmatch(text) is not None


def named(releases: Sequence[Release], name: str) -> Release:
    """The one release that `name` names: its id, the beginning of it, or of its commit; the newest of that commit.

    `releases` are the oldest first. Raises LeandataError when there is none.
    """
    if not name:
        raise LeandataError("no release was named", hint="make releases ENV=... lists them")
    found = [one for one in releases if one.id == name] or [one for one in releases if one.id.startswith(name)]
    found = found or [one for one in releases if one.commit.startswith(name)]
    if len({one.commit for one in found}) > 1:
        raise LeandataError(f"{name!r} names several releases", hint=", ".join(one.id for one in found))
    if not found:
        last = f"The newest is {releases[-1].id}" if releases else "Nothing was released yet"
        raise LeandataError(f"there is no release {name!r}", hint=f"{last}; make releases ENV=... lists them")
    return found[-1]


def compared(before: Release, after: Release) -> list[tuple[str, str, str]]:
    """What differs: (what, in `before`, in `after`), sorted; nothing for the same release twice."""
    rows = _texts(before), _texts(after)
    names = sorted({*rows[0], *rows[1]})
    return [
        (name, rows[0].get(name, "-"), rows[1].get(name, "-"))
        for name in names
        if rows[0].get(name) != rows[1].get(name)
    ]


def where(change: str, newest: Mapping[str, Release], contains: Callable[[str, str], bool]) -> dict[str, bool]:
    """By environment, whether its newest release has the commit `change`; `contains` asks git (released, change)."""
    return {name: contains(release.commit, change) for name, release in sorted(newest.items())}


def _texts(release: Release) -> dict[str, str]:
    texts = {"commit": release.commit, "config": release.config, "dbt": release.dbt, "model": release.model or "-"}
    texts |= {"uncommitted": "yes" if release.uncommitted else "no", "warehouse": release.warehouse}
    texts |= {f"image {name}": found for name, found in release.images.items()}
    texts |= {f"state {name}": found for name, found in release.serials.items()}
    texts |= {
        f"lake {name}": f"{one.slices} slices, {one.rows} rows, {one.newest}" for name, one in release.lake.items()
    }
    return texts
