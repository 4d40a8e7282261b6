"""What Python files say, kept by their content: reading them all again takes half the time of a question."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.affected import reading
from ci.affected.reading import Facts, read
from ci.bootstrap import cache
from ci.kept import keep

_MUCH = 4000
_LISTS = tuple(one.name for one in dataclasses.fields(Facts) if one.name != "constants")


@dataclass(slots=True)
class Remembered:
    """Facts by what they were read from. A file that cannot be read or written costs time, no more."""

    file: Path
    _known: dict[str, Facts] = field(default_factory=dict[str, Facts])
    _asked: dict[str, Facts] = field(default_factory=dict[str, Facts])

    @classmethod
    def here(cls, folder: Path | None = None) -> Remembered:
        """This machine's, for this reader: what another version of it or of Python read is never taken."""
        reader = Path(reading.__file__).read_bytes() + sys.version.encode()
        found = cls(file=(folder or cache() / "affected") / f"{hashlib.sha256(reader).hexdigest()[:16]}.json")
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError):
            found._known = {
                name: _facts(said) for name, said in json.loads(found.file.read_text(encoding="utf-8")).items()
            }
        return found

    def read(self, source: bytes, *, path: str) -> Facts:
        """As `ci.affected.reading.read`."""
        name = hashlib.sha256(path.encode() + b"\0" + source).hexdigest()
        found = self._known.get(name)
        self._asked[name] = read(source, path=path) if found is None else found
        return self._asked[name]

    def keep(self) -> None:
        """Write down what was read, if something of it was new; what was not asked for goes when there is much."""
        if self._asked.keys() <= self._known.keys():
            return
        kept = self._asked if len(self._known) > _MUCH else self._known | self._asked
        keep(self.file, json.dumps({name: _plain(facts) for name, facts in sorted(kept.items())}))


def _plain(facts: Facts) -> dict[str, Any]:
    lists = {name: sorted(getattr(facts, name)) for name in _LISTS if getattr(facts, name)}
    return {**lists, "constants": facts.constants}


def _facts(said: Mapping[str, Any]) -> Facts:
    constants = tuple((str(name), value) for name, value in said["constants"])
    return Facts(**{name: frozenset(said[name]) for name in _LISTS if name in said}, constants=constants)
