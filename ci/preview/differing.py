"""How two values differ, in words that a reader can follow: entries of a list go by their names, not by their place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from ci.preview.model import ABSENT, LATER

_UNKNOWN = "[unknown]"
# What entries of a list go by, the first that all of them have, each another one.
_KEYS = ("name", "Sid", "key", "id", "rulePriority", "port", "containerPort", "topologyKey")
Difference = tuple[str, Any, Any]


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """The path, the value before and the value after of all that differs, sorted by how it lies in the value.

    ABSENT stands for what is not there, LATER for what nobody knows yet. JSON in a text is compared as what it says.
    """
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_mappings(before, after, path)
    elif _is_list(before) and _is_list(after):
        yield from _of_lists(before, after, path)
    elif isinstance(before, str) and isinstance(after, str):
        yield from _of_texts(before, after, path)
    else:
        yield path, known(before), known(after)


def known(value: Any) -> Any:
    """The value with LATER for what is not known before it is deployed."""
    if isinstance(value, Mapping):
        return {key: known(found) for key, found in value.items()}
    if _is_list(value):
        return [known(found) for found in value]
    return LATER if value == _UNKNOWN else value


def document(text: Any) -> Any:
    """The JSON object or list in a text, None for any other text."""
    if not isinstance(text, str) or text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _of_mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Difference]:
    for key in sorted({*before, *after}):
        # A key with dots or slashes, as labels have, is written in brackets.
        inside = f"[{key}]" if not key.replace("_", "").replace("-", "").isalnum() else f".{key}" if path else key
        yield from differences(before.get(key, ABSENT), after.get(key, ABSENT), f"{path}{inside}")


def _of_texts(before: str, after: str, path: str) -> Iterator[Difference]:
    old, new = document(before), document(after)
    if old is None or new is None:
        yield path, known(before), known(after)
    else:
        yield from differences(old, new, path)


def _of_lists(before: Sequence[Any], after: Sequence[Any], path: str) -> Iterator[Difference]:
    for key in _KEYS:
        old, new = _by(before, key), _by(after, key)
        if old is not None and new is not None:
            for name in sorted({*old, *new}):
                yield from differences(old.get(name, ABSENT), new.get(name, ABSENT), f"{path}[{name}]")
            if old.keys() == new.keys() and list(old) != list(new):
                yield f"{path}.order", list(old), list(new)
            return
    if all(isinstance(one, Mapping) for one in (*before, *after)):
        yield from _of_nameless(before, after, path)
    else:
        yield path, known(before), known(after)


def _by(found: Sequence[Any], key: str) -> dict[str, Any] | None:
    """The entries by the value of `key`; None unless every one has one, and each another one."""
    if not all(isinstance(one, Mapping) and isinstance(one.get(key), str | int) for one in found):
        return None
    named = {str(one[key]): one for one in found}
    return named if len(named) == len(found) else None


def _of_nameless(before: Sequence[Any], after: Sequence[Any], path: str) -> Iterator[Difference]:
    """Entries without names: those that both have are left out, and the others are compared in their order."""
    texts = [[json.dumps(one, sort_keys=True) for one in found] for found in (before, after)]
    both = Counter(texts[0]) & Counter(texts[1])
    left = [_without(found, said, both) for found, said in zip((before, after), texts, strict=True)]
    if not any(left):
        yield f"{path}.order", known(before), known(after)
    for number in range(max(map(len, left))):
        old, new = (found[number] if number < len(found) else None for found in left)
        place = (new or old or (0,))[0]
        yield from differences(old[1] if old else ABSENT, new[1] if new else ABSENT, f"{path}[{place}]")


def _without(found: Sequence[Any], texts: Sequence[str], both: Counter[str]) -> list[tuple[int, Any]]:
    rest = Counter(both)
    left: list[tuple[int, Any]] = []
    for number, (one, text) in enumerate(zip(found, texts, strict=True)):
        if rest[text]:
            rest[text] -= 1
        else:
            left.append((number, one))
    return left
