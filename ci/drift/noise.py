"""Reviewed noise: differences that are known to be without meaning, each rule with its reason and its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from ci.drift.model import Found
from infra.environment import ROOT, parse_toml
from infra.parts.base import Part
from leandata.errors import SettingsError

FILE = Path("ci", "drift", "noise.toml")


class Rule(Part):
    """One kind of difference that is noise until the day `until`; texts may hold `*` and `?`."""

    stack: str = Field(min_length=1)
    type: str = Field(min_length=1)
    name: str = Field(min_length=1)
    property: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    until: date

    def covers(self, found: Found) -> bool:
        """Whether the rule is about this difference. Only changes can be noise: what is gone or beside never is."""
        pairs = [(getattr(found, key), getattr(self, key)) for key in ("stack", "type", "name", "property")]
        return found.kind == "changed" and all(fnmatchcase(text, pattern) for text, pattern in pairs)


class Rules(Part):
    """All that the file may say."""

    rule: list[Rule] = Field(default_factory=list[Rule])


def load(today: date, *, root: Path = ROOT) -> tuple[Rule, ...]:
    """The rules. Raises SettingsError for a file that is not well formed, and for a rule whose end has come."""
    path = root / FILE
    rules = tuple(parse_toml(path, Rules).rule)
    over = [rule for rule in rules if rule.until < today]
    if over:
        one = over[0]
        what = f"the noise rule for {one.type} {one.name} {one.property} ended on {one.until}"
        raise SettingsError(what, where=str(path), hint="Mend the cause, or review the rule and give it a new end")
    return rules


def noisy(found: Found, rules: Sequence[Rule]) -> Rule | None:
    """The first rule that covers the difference."""
    return next((rule for rule in rules if rule.covers(found)), None)
