"""Which numbers were seen, which were right, and which nobody has a rule for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

_DIGIT = re.compile(r"[0-9]")
_NUMBER = re.compile(r"[+$-]*[0-9][0-9,.:]*%?")
_MOST_TOLD = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What a value must be that no file can tell beforehand, such as a moment: said, and judged."""

    what: str
    holds: Callable[[Any], bool]


@dataclass(kw_only=True, slots=True)
class Ledger:
    """Numbers that were held against what they must be.

    `traced` counts those that an expected value covers, `ruled` those that a rule covers, `left` says which were not
    looked at and why, `wrong` is a sentence for each that is not what it must be, or that nothing covers.
    """

    traced: int = 0
    ruled: Counter[str] = field(default_factory=Counter[str])
    left: dict[str, str] = field(default_factory=dict[str, str])
    wrong: list[str] = field(default_factory=list[str])

    def hold(self, where: str, seen: Any, expected: Any) -> None:
        """Hold `seen` against `expected`, part by part: mappings by their keys, lists by their places."""
        if isinstance(expected, Rule):
            self._ruled(where, seen, expected)
        elif isinstance(expected, Mapping) and isinstance(seen, Mapping):
            self._mappings(where, seen, expected)  # pyright: ignore[reportUnknownArgumentType]
        elif _is_list(expected) and _is_list(seen):
            self._lists(where, list(seen), list(expected))  # pyright: ignore[reportUnknownArgumentType]
        elif _same(seen, expected):
            self.traced += _numbers(seen)
        else:
            self.wrong.append(f"{where}: expected {_said(expected)}, got {_said(seen)}")

    def lines(self, where: str, seen: Iterable[str], expected: Iterable[str | Rule]) -> None:
        """Hold those lines of a text that have a number against the expected ones, whatever their order.

        A line with other numbers than an expected one that reads the same otherwise is told with both.
        """
        known = list(expected)
        wanted = Counter(one for one in known if isinstance(one, str) and _DIGIT.search(one))
        rules = [one for one in known if isinstance(one, Rule)]
        strange: list[str] = []
        for line in (" ".join(one.split()) for one in seen if _DIGIT.search(one)):
            rule = next((one for one in rules if one.holds(line)), None)
            if wanted[line]:
                wanted[line] -= 1
                self.traced += _numbers(line)
            elif rule is not None:
                self.ruled[rule.what] += 1
                rules.remove(rule)
            else:
                strange.append(line)
        rest = list(wanted.elements())
        for line in strange:
            like = next((one for one in rest if _shape(one) == _shape(line)), None)
            if like is None:
                self.wrong.append(f"{where}: no rule covers {line!r}")
            else:
                rest.remove(like)
                self.wrong.append(f"{where}: expected {_differing(like, line)}, in {line!r}")
        self.wrong += [f"{where}: nothing shows {one!r}" for one in rest]
        self.wrong += [f"{where}: nothing shows {rule.what}" for rule in rules]

    def add(self, other: Ledger) -> None:
        """All that another one found."""
        self.traced += other.traced
        self.ruled += other.ruled
        self.left |= other.left
        self.wrong += other.wrong

    def leave(self, where: str, *, why: str) -> None:
        """These numbers are not looked at."""
        self.left[where] = why

    def told(self) -> str:
        """What was traced, what was held to a rule, what was not looked at."""
        lines = [f"{self.traced:,} numbers are those of the CSV."]
        lines += [f"{count:,} held to a rule: {what}" for what, count in sorted(self.ruled.items())]
        lines += [f"not traced: {where}: {why}" for where, why in sorted(self.left.items())]
        return "\n".join(lines)

    def demand_right(self) -> None:
        """Raise AssertionError with every number that is wrong or uncovered."""
        if self.wrong:
            more = len(self.wrong) - _MOST_TOLD
            shown = "\n".join(self.wrong[:_MOST_TOLD]) + (f"\nand {more} more" if more > 0 else "")
            raise AssertionError(f"{len(self.wrong)} numbers are wrong or not covered:\n{shown}\n{self.told()}")

    def _ruled(self, where: str, seen: Any, rule: Rule) -> None:
        if rule.holds(seen):
            self.ruled[rule.what] += 1
        else:
            self.wrong.append(f"{where}: expected {rule.what}, got {_said(seen)}")

    def _mappings(self, where: str, seen: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
        for key in expected:
            if key in seen:
                self.hold(f"{where} / {key}", seen[key], expected[key])
            else:
                self.wrong.append(f"{where} / {key}: nothing is shown, expected {_said(expected[key])}")
        for key in seen:
            if key not in expected and (_numbers(seen[key]) or _DIGIT.search(str(key))):
                self.wrong.append(f"{where} / {key}: no rule covers {_said(seen[key])}")

    def _lists(self, where: str, seen: Sequence[Any], expected: Sequence[Any]) -> None:
        for at, (one, wanted) in enumerate(zip(seen, expected, strict=False)):
            self.hold(f"{where} / {at}", one, wanted)
        if len(seen) < len(expected):
            self.wrong.append(f"{where}: {len(expected) - len(seen)} are missing, first {_said(expected[len(seen)])}")
        for at in range(len(expected), len(seen)):
            self.wrong.append(f"{where} / {at}: no rule covers {_said(seen[at])}")


def _same(seen: Any, expected: Any) -> bool:
    if isinstance(seen, bool) or isinstance(expected, bool) or seen is None or expected is None:
        return seen is expected
    if isinstance(seen, int | float | Decimal) and isinstance(expected, int | Decimal):
        return Decimal(str(seen)) == expected
    return type(seen) is type(expected) and seen == expected


def _numbers(seen: Any) -> int:
    """How many numbers a value shows."""
    if isinstance(seen, Mapping):
        return sum(_numbers(one) for one in seen.values())  # pyright: ignore[reportUnknownVariableType]
    if _is_list(seen):
        return sum(_numbers(one) for one in seen)
    return 0 if isinstance(seen, bool) else len(_NUMBER.findall(str(seen)))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _shape(line: str) -> str:
    return _NUMBER.sub("#", line)


def _differing(expected: str, seen: str) -> str:
    pairs = zip(_NUMBER.findall(expected), _NUMBER.findall(seen), strict=True)
    return "; ".join(f"{one}, got {other}" for one, other in pairs if one != other)


def _said(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
