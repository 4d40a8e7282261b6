"""What no longer protects as it did: settings turned off or down, and settings gone while their thing stays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ci.pods import quantity
from ci.preview.model import ABSENT, Change, PropertyChange, Risk
from ci.preview.risking import View, listed, of
from ci.preview.weakening import GUARDS, STRONG, WATCHED, Watch
from infra.policy.graph import at, items, true

_BRACKETS = re.compile(r"\[.*?\]")


def find(view: View) -> Iterator[Risk]:
    """The risks of this kind."""
    protected = {one.urn for one in view.before if one.protect}
    rules = _Rules()
    for change in view.changes:
        if change.op in ("delete", "replace") and change.urn in protected:
            yield of(change, "protection", "protected: the engine refuses until its protection is taken off")
        if change.op == "delete":
            yield from _unguarded(view, change)
        for one in (inner for whole in change.properties for inner in _added(whole)):
            for watch in rules.of(change.type):
                if _matches(watch, one.path) and _weakens(watch, one):
                    said = f"{watch.said}: " if watch.said else ""
                    yield of(change, watch.kind, f"{said}{one.path} {_short(one.before)} -> {_short(one.after)}")


class _Rules:
    """The watches of a type, looked up once for each."""

    def __init__(self) -> None:
        self._by_type: dict[str, list[Watch]] = {}

    def of(self, type_: str) -> list[Watch]:
        if type_ not in self._by_type:
            self._by_type[type_] = [one for one in WATCHED if re.fullmatch(one.types, type_)]
        return self._by_type[type_]


def _unguarded(view: View, change: Change) -> Iterator[Risk]:
    kubernetes = change.type.startswith("kubernetes:")
    guard = GUARDS.get(f"kubernetes:{change.type.rpartition(':')[2]}" if kubernetes else change.type)
    if guard is None:
        return
    kind, on, said = guard
    before = change.before or {}
    target = at(before, "metadata.namespace") if on == "namespace" else before.get(on)
    if not on or str(target) in view.left or (str(target).startswith("arn:") and _last(target) in view.left):
        yield of(change, kind, f"removed: {said}")


def _last(arn: Any) -> str:
    return re.split(r"[:/]", str(arn))[-1]


def _added(one: PropertyChange) -> Iterator[PropertyChange]:
    """The change, and all that comes with a value that was not there before."""
    yield one
    if one.before != ABSENT or one.path.startswith("options."):
        return
    inside: list[tuple[str, Any]] = []
    if isinstance(one.after, Mapping):
        inside = [(f".{key}", value) for key, value in one.after.items()]
    elif isinstance(one.after, list):
        inside = [(f"[{at(value, 'name', n)}]", value) for n, value in enumerate(one.after) if isinstance(value, dict)]
    for end, value in inside:
        yield from _added(PropertyChange(path=f"{one.path}{end}", before=ABSENT, after=value))


def _matches(watch: Watch, path: str) -> bool:
    return bool(re.fullmatch(watch.path, path) or re.fullmatch(watch.path, _BRACKETS.sub("", path)))


def _weakens(watch: Watch, one: PropertyChange) -> bool:
    before, after = one.before, one.after
    match watch.when:
        case "off":
            return _on(before) and not _on(after)
        case "on":
            return _on(after) and not _on(before)
        case "gone":
            return before not in (ABSENT, None, "") and after in (ABSENT, None, "")
        case "fewer":
            return bool(_entries(before) - _entries(after))
        case "changed":
            return _changed(one)
        case "less" | "more":
            if isinstance(before, list) or isinstance(after, list):
                return watch.when == "more" and bool(_entries(after) - _entries(before))
            old, new = _quantity(before), _quantity(after)
            shares = str(before).endswith("%"), str(after).endswith("%")
            if old is None or new is None or shares[0] != shares[1]:
                return False
            return new < old if watch.when == "less" else new > old


def _on(value: Any) -> bool:
    return true(value) or (str(value).isdigit() and int(value) > 0) or isinstance(value, Mapping)


def _entries(value: Any) -> set[str]:
    return set() if value == ABSENT else {str(one) for one in items(value)}


def _changed(one: PropertyChange) -> bool:
    """Whether the value was the strong one; of a path without a known strong value, any change is one."""
    strong = next((values for end, values in STRONG.items() if one.path.endswith(end)), ())
    return one.before in strong if strong else one.before != ABSENT


def _quantity(value: Any) -> float | None:
    """A number, a quantity of Kubernetes such as 500m or 2Gi, or a share such as 50%; None for what is none."""
    try:
        return quantity(str(value).removesuffix("%"))
    except ValueError:
        return None


def _short(value: Any) -> str:
    text = listed([str(one) for one in value]) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
