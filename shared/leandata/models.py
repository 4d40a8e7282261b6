"""The registry of models in the lake: files that are written once, and a table of versions that is replaced whole.

    models/purchase/files/<version>.skops        the model, as its library writes it
    models/purchase/all/<run>.parquet, _manifest/models/purchase/all/<run>.json    all versions; the newest table counts

Whoever promotes a version or takes one back writes a new table: the old ones are the history.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pyarrow as pa

from leandata.datasets import dataset
from leandata.errors import LakeError
from leandata.lake import Lake
from leandata.tables import schema

SERVED = "models.purchase"
"""The model whose predictions the platform serves."""
State = Literal["current", "kept", "refused", "withdrawn"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A version of a model; `file` is where it lies in the zone, "" for a refused one. `card` says how good it was.

    A withdrawn version was published and did not hold: nothing goes back to it, but it can be promoted by hand.
    """

    version: str
    trained_on: date
    state: State
    file: str
    sha256: str
    card: Mapping[str, Any]


class Registry:
    """The versions of one model, such as `models.purchase`, in the lake's zone of models."""

    def __init__(self, url: str, *, model: str) -> None:
        self._lake = Lake(url)
        self._contract = dataset(model)
        self._folder = model.replace(".", "/")

    def versions(self) -> list[Version]:
        """Every version, the oldest first; none before the first training."""
        latest = self._lake.latest(self._contract).get(None)
        rows = self._lake.read(latest, self._contract).to_pylist() if latest else []
        return [Version(**{**row, "card": json.loads(row["card"])}) for row in rows]

    def current(self) -> Version | None:
        """The version that predictions are made with; None where there is none."""
        return next((one for one in self.versions() if one.state == "current"), None)

    def read(self, version: Version) -> bytes:
        """The model's file. Raises LakeError when it is not what was written."""
        data = self._lake.get(version.file)
        if hashlib.sha256(data).hexdigest() != version.sha256:
            raise LakeError("a model is not the one that was published", where=version.file, hint="Take it back")
        return data

    def add(self, version: str, data: bytes, *, trained_on: date, card: Mapping[str, Any], better: bool) -> Version:
        """Keep a new version: current where it is `better` than what it has to beat, else refused and without a file.

        A version that is there already is left as it is, so a repeated try changes nothing.
        """
        known = self.versions()
        there = next((one for one in known if one.version == version), None)
        if there is not None:
            return there
        file = f"{self._folder}/files/{version}.skops" if better else ""
        if better:
            self._lake.put(file, data)
        new = Version(
            version=version,
            trained_on=trained_on,
            state="current" if better else "refused",
            file=file,
            sha256=hashlib.sha256(data).hexdigest() if better else "",
            card=card,
        )
        self._write([*(_aside(known) if better else known), new], run=version)
        return new

    def promote(self, version: str, *, run: str) -> Version:
        """Make a kept version the current one. Raises LakeError naming those that can be."""
        known = self.versions()
        able = [one.version for one in known if one.state != "refused"]
        if version not in able:
            hint = f"There are: {', '.join(able)}" if able else "None was ever published"
            raise LakeError(f"no version {version!r} can be promoted", hint=hint)
        self._write([_with(one, "current") if one.version == version else one for one in _aside(known)], run=run)
        return next(one for one in self.versions() if one.version == version)

    def rollback(self, *, run: str) -> Version:
        """Go back to the version that was kept before the current one. Raises LakeError where there is none."""
        before = _before_current(self.versions())
        if before is None:
            raise LakeError("there is no version before the current one", hint="make model LIST=yes shows them all")
        return self.promote(before.version, run=run)

    def describe(self, version: str, *, run: str, **facts: Any) -> None:
        """Keep these facts in the card of a version, in place of what it said of them."""
        known = [
            dataclasses.replace(one, card={**one.card, **facts}) if one.version == version else one
            for one in self.versions()
        ]
        self._write(known, run=run)

    def note(self, version: str, live: Mapping[str, Any], *, withdraw: bool, run: str) -> None:
        """Keep in the card of a version, as `live`, how its predictions held; in one write, withdraw it where asked to.

        Where the current version is withdrawn, the one kept before it becomes current; without one it stays current.
        """
        known = self.versions()
        before, place = _before_current(known), [one.version for one in known].index(version)
        old = known[place]
        known[place] = dataclasses.replace(old, card={**old.card, "live": dict(live)})
        if withdraw and (old.state == "kept" or (old.state == "current" and before is not None)):
            known[place] = _with(known[place], "withdrawn")
            if old.state == "current" and before is not None:
                known = [_with(one, "current") if one.version == before.version else one for one in known]
        self._write(known, run=run)

    def _write(self, versions: Sequence[Version], *, run: str) -> None:
        rows = [{**dataclasses.asdict(one), "card": json.dumps(one.card, sort_keys=True)} for one in versions]
        self._lake.publish(self._contract, {None: pa.Table.from_pylist(rows, schema=schema(self._contract))}, run=run)


def _before_current(versions: Sequence[Version]) -> Version | None:
    """The version kept last before the current one."""
    place = next((number for number, one in enumerate(versions) if one.state == "current"), 0)
    return next((one for one in reversed(versions[:place]) if one.state == "kept"), None)


def _aside(versions: Sequence[Version]) -> list[Version]:
    return [_with(one, "kept") if one.state == "current" else one for one in versions]


def _with(version: Version, state: State) -> Version:
    return dataclasses.replace(version, state=state)
