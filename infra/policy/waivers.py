"""Waivers: findings that somebody answers for, until a day. One that has ended or that waives nothing is a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from infra.environment import ROOT, parse_toml
from infra.parts.base import Part
from infra.policy.rule import Finding

PLACE = Path("infra", "policy", "waivers.toml")
MOST = 5
LONGEST_DAYS = 366


class Waiver(Part):
    """One waiver: the rule, a pattern of resources' URNs, where it holds, who answers for it, why, and its last day.

    A rule of somebody else's scanner is named with the scanner, `checkov:CKV_K8S_38`, and the pattern is of the places
    that the scanner prints.
    """

    rule: str
    resource: str
    environments: list[str] = Field(min_length=1)
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=20)
    until: date

    def covers(self, rule: str, resource: str) -> bool:
        """Whether what this rule finds there is waived."""
        return self.rule == rule and fnmatchcase(resource, self.resource)

    @property
    def scanner(self) -> str:
        """Whose rule it is; "" for one of ours."""
        return self.rule.partition(":")[0] if ":" in self.rule else ""


class Waivers(Part):
    """All that `infra/policy/waivers.toml` may say."""

    waiver: list[Waiver] = Field(default_factory=list[Waiver])


def load(root: Path = ROOT) -> list[Waiver]:
    """The waivers of the checkout at `root`. Raises SettingsError naming file and key."""
    return parse_toml(root / PLACE, Waivers).waiver


def apply(
    findings: Sequence[Finding], waivers: Sequence[Waiver], *, environment: str, today: date, known: Sequence[str]
) -> list[Finding]:
    """The findings that are left in `environment`, and what is wrong with the waivers themselves, sorted.

    A waiver that has ended waives nothing. `known` are the rules that there are.
    """
    here = [waiver for waiver in waivers if environment in waiver.environments]
    valid = [waiver for waiver in here if waiver.until >= today]
    left = [one for one in findings if not any(waiver.covers(one.rule, one.resource) for waiver in valid)]
    return sorted([*left, *_wrong(findings, waivers, here, today=today, known=known)])


def _wrong(
    findings: Sequence[Finding], waivers: Sequence[Waiver], here: Sequence[Waiver], *, today: date, known: Sequence[str]
) -> Iterator[Finding]:
    said = Finding(resource=str(PLACE), property="", rule="", severity="high", said="", remedy="")
    if len(waivers) > MOST:
        remedy = "Mend what the oldest ones waive"
        yield replace(
            said, property="waiver", rule="waivers-few", said=f"{len(waivers)}, at most {MOST}", remedy=remedy
        )
    for waiver in here:
        about = replace(said, property=f"{waiver.rule} of {waiver.resource}")
        if not waiver.scanner and waiver.rule not in known:
            yield replace(about, rule="waiver-of-no-rule", remedy="Name a rule that there is")
        elif waiver.until < today:
            remedy = f"{waiver.owner}: mend what it waives, or give it a new reason and a new end"
            yield replace(about, rule="waiver-ended", said=f"on {waiver.until}", remedy=remedy)
        elif (waiver.until - today).days > LONGEST_DAYS:
            yield replace(about, rule="waiver-too-long", said=str(waiver.until), remedy="End it within a year")
        elif not waiver.scanner and not any(waiver.covers(one.rule, one.resource) for one in findings):
            yield replace(about, rule="waiver-unused", remedy="Remove it: nothing is waived by it")
