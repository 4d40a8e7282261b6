"""Tables whose reading can be watched, so that a preview knows which keys of a manifest a program has looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, Self

from infra.parts.base import Part

_WHOLE = frozenset({"__dict__", "copy", "dict", "json"})
_watching: set[str] | None = None


class Observed(Part):
    """A table that notes each key that is read of it, and of the tables in it, while `watching`.

    A key is named by its way from where the table was `placed`, such as `api.process[0].memory`; a list of tables by
    itself stands for how many there are. What reads a table whole, as by comparing or dumping it, has read `api.*`.
    """

    _place: str = ""

    def placed(self, place: str) -> Self:
        """This table, whose keys are named after `place`; the tables in it after their own way from there."""
        self._place = place
        for name, found in _unseen(self, "__dict__").items():
            for way, table in _tables(f"{place}.{name}", found):
                table.placed(way)
        return self

    def flattened(self) -> dict[str, Any]:
        """The value of every key, by its name; of a list of tables how many they are."""
        found: dict[str, Any] = {}
        for name, value in _unseen(self, "__dict__").items():
            way = f"{self._place}.{name}"
            inside = list(_tables(way, value))
            if not isinstance(value, Observed):
                found[way] = len(inside) if inside else value
            for _, table in inside:
                found |= table.flattened()
        return found

    def __getattribute__(self, name: str) -> Any:
        if _watching is not None:
            place = (_unseen(self, "__pydantic_private__") or {}).get("_place")
            if place and name in type(self).model_fields:
                _watching.add(f"{place}.{name}")
            elif place and (name in _WHOLE or name.startswith("model_")):
                _watching.add(f"{place}.*")
        return super().__getattribute__(name)


@contextlib.contextmanager
def watching() -> Generator[set[str]]:
    """The keys that are read of all tables meanwhile, as they come; one watcher at a time."""
    global _watching  # noqa: PLW0603 - a program knows nothing of being watched, so nothing can be handed to it
    _watching = seen = set[str]()
    try:
        yield seen
    finally:
        _watching = None


def was_read(key: str, read: set[str]) -> bool:
    """Whether the key is among those read, by itself or because a table around it was read whole."""
    parts = key.split(".")
    return key in read or any(f"{'.'.join(parts[:end])}.*" in read for end in range(1, len(parts)))


def _unseen(table: Observed, name: str) -> Any:
    """What the table holds under that name, without being seen; None where it is only being made."""
    try:
        return object.__getattribute__(table, name)
    except AttributeError:
        return None


def _tables(way: str, value: Any) -> Iterator[tuple[str, Observed]]:
    if isinstance(value, Observed):
        yield way, value
    elif isinstance(value, list):
        for number, one in enumerate(value):  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
            if isinstance(one, Observed):
                yield f"{way}[{number}]", one
