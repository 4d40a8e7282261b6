"""What policies say of an environment: for people as a table, for programs as JSON, for a deployment as a refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ci.programs import Program
from infra.environment import Environment
from infra.policy import RULES, Finding, judge
from leandata.errors import LeandataError

_SEVERITIES = ("high", "medium", "low")


def demand_policies(environment: Environment, programs: Mapping[str, Program]) -> None:
    """Raises LeandataError when anything is found: nothing is deployed that the policies forbid."""
    found = judge(programs, environment=environment)
    if found:
        worst = min(found, key=lambda one: (_SEVERITIES.index(one.severity), one))
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise LeandataError(
            f"the policy {worst.rule} forbids {place(worst)}{more}",
            where=environment.name,
            hint=f"make policy ENV={environment.name}",
        )


def place(finding: Finding) -> str:
    """Where a finding is, for people: stack, kind and name, and the property."""
    parts = finding.resource.split("::")
    kind = parts[2].rpartition("$")[2].rpartition(":")[2] if len(parts) == 4 else ""
    whole = f"{parts[1]}: {kind} {parts[3]}" if kind else finding.resource
    return f"{whole} {finding.property}".rstrip()


def table(findings: Sequence[Finding], *, environment: str, resources: int) -> str:
    """The findings by severity, each with how to mend it, and a last line that counts."""
    lines: list[str] = []
    for severity in _SEVERITIES:
        for one in (found for found in findings if found.severity == severity):
            said = f" ({one.said})" if one.said else ""
            lines += [f"{severity:<7} {one.rule:<24} {place(one)}{said}", f"{'':<32} -> {one.remedy}"]
    return "\n".join([*lines, summary(findings, environment=environment, resources=resources)])


def summary(findings: Sequence[Finding], *, environment: str, resources: int) -> str:
    """One line: how many resources were judged by how many rules, and what was found."""
    counts = Counter(one.severity for one in findings)
    found = ", ".join(f"{counts[severity]} {severity}" for severity in _SEVERITIES if counts[severity]) or "no findings"
    return f"{environment}: {resources} resources, {len(RULES)} rules: {found}"


def answer(findings: Sequence[Finding], *, environment: str, resources: int) -> dict[str, Any]:
    """The same for programs."""
    return {
        "environment": environment,
        "findings": [{name: getattr(one, name) for name in Finding.__slots__} for one in findings],
        "ok": not findings,
        "resources": resources,
        "rules": len(RULES),
    }
