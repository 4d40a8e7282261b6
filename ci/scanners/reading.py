"""What scanners print, as findings: where, which rule of whose, and what they have against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leandata.errors import LeandataError

_SCHEMA = re.compile(
    r"ERROR (?P<file>\S+) (?:did not validate for resource (?P<what>\S+) against version (?P<version>\S+)"
    r"|could not be validated): (?P<said>.*)"
)
_YAML = re.compile(r"(?P<file>.+?):(?P<line>\d+):\d+: \[\w+\] (?P<said>.*) \((?P<rule>[\w-]+)\)")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Found:
    """One finding of a scanner."""

    place: str
    rule: str
    said: str


def actionlint(text: str) -> list[Found]:
    """Actionlint's JSON."""
    return sorted(
        Found(place=f"{one['filepath']}:{one['line']}", rule=one["kind"], said=one["message"])
        for one in _rows(text, "actionlint")
    )


def check_jsonschema(text: str) -> list[Found]:
    """Check-jsonschema's JSON; a file that it cannot parse is a finding."""
    report = _json(text, "check-jsonschema") or {}
    found = [
        Found(place=one["filename"], rule="schema", said=_deepest(one).strip()) for one in report.get("errors", [])
    ]
    found += [Found(place=one["filename"], rule="parse", said=one["message"]) for one in report.get("parse_errors", [])]
    return sorted(found)


def _deepest(error: dict[str, Any]) -> str:
    match = error.get("best_deep_match") or error
    return f"{match['path']}: {match['message']}"


def checkov(text: str) -> list[Found]:
    """Checkov's JSON: one report, or a list of reports; a file that it cannot parse is a finding."""
    report = _json(text, "checkov")
    found: list[Found] = []
    for one in report if isinstance(report, list) else [report]:
        results = one.get("results", {})
        for check in results.get("failed_checks", []):
            place = f"{check['file_path']} {check['resource']}"
            found.append(Found(place=place, rule=check["check_id"], said=check["check_name"]))
        found += [Found(place=str(file), rule="parse", said="no YAML") for file in results.get("parsing_errors", [])]
    return sorted(found)


def hadolint(text: str) -> list[Found]:
    """Hadolint's JSON."""
    return sorted(
        Found(place=f"{one['file']}:{one['line']}", rule=one["code"], said=one["message"])
        for one in _rows(text, "hadolint")
    )


def kubernetes_validate(text: str) -> list[Found]:
    """The lines that name what does not fit its schema."""
    found: list[Found] = []
    for line in text.splitlines():
        if line.startswith("FATAL"):
            raise LeandataError(f"kubernetes-validate: {line.removeprefix('FATAL ')}")
        if match := _SCHEMA.fullmatch(line):
            place = f"{match['file']} {match['what'] or ''}".strip()
            found.append(Found(place=place, rule=f"schema {match['version'] or ''}".strip(), said=match["said"]))
    return sorted(found)


# Judged more closely by our own rules: iam-resource knows the conditions that narrow a *, and texts compare ARNs well.
_OURS = frozenset({"MISMATCHED_TYPE_BUT_USABLE", "RESOURCE_STAR"})


def parliament(text: str) -> list[Found]:
    """Parliament's JSON: an object a line. What our own rules judge is left to them."""
    return sorted(_parliament(text))


def _parliament(text: str) -> Iterator[Found]:
    for line in text.splitlines():
        if line.startswith("{"):
            one = _json(line, "parliament")
            said = f"{one.get('title', '')} {json.dumps(one.get('detail', ''), sort_keys=True)}".strip()
            if one["issue"] not in _OURS:
                yield Found(place=str(one.get("location", {}).get("filepath", "")), rule=str(one["issue"]), said=said)


def shellcheck(text: str) -> list[Found]:
    """Shellcheck's JSON."""
    return sorted(
        Found(place=f"{one['file']}:{one['line']}", rule=f"SC{one['code']}", said=one["message"])
        for one in _rows(text, "shellcheck")
    )


def yamllint(text: str) -> list[Found]:
    """Yamllint's parsable lines."""
    return sorted(
        Found(place=f"{match['file']}:{match['line']}", rule=match["rule"], said=match["said"])
        for line in text.splitlines()
        if (match := _YAML.fullmatch(line))
    )


def zizmor(text: str) -> list[Found]:
    """Zizmor's JSON."""
    return sorted(_zizmor(text))


def _zizmor(text: str) -> Iterator[Found]:
    for one in _rows(text, "zizmor"):
        first = (one.get("locations") or [{}])[0]
        key = first.get("symbolic", {}).get("key", {}).get("Local", {})
        row = first.get("concrete", {}).get("location", {}).get("start_point", {}).get("row", -1) + 1
        yield Found(place=f"{key.get('given_path', '?')}:{row}", rule=str(one["ident"]), said=str(one["desc"]))


def unread(name: str, text: str) -> LeandataError:
    """The error for what a scanner prints in another form than its own."""
    return LeandataError(f"{name} says nothing that can be read: {' '.join(text.split())[:200]}")


def _rows(text: str, name: str) -> list[Any]:
    found = _json(text, name)
    if not isinstance(found, list):
        raise unread(name, text)
    return found


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text or "[]")
    except ValueError as error:
        raise unread(name, text) from error
