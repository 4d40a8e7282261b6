"""What a change of `pyproject.toml` and `uv.lock` means: the packages that differ, and the groups that hold them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOOLS = frozenset({"tool", "dependency-groups"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """Packages whose locked versions differ, by the dependency group that reaches them, with a word on each.

    `everything` is why nothing finer can be said; "" where it can.
    """

    groups: Mapping[str, tuple[str, ...]]
    everything: str = ""


def differences(old: Mapping[str, bytes], now: Mapping[str, bytes]) -> Locked:
    """Compare both sides of `pyproject.toml` and `uv.lock`, each b"" where it is not there."""
    try:
        before, after = (_Side(side) for side in (old, now))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return Locked(groups={}, everything="pyproject.toml or uv.lock cannot be read")
    rest = [{key: value for key, value in side.project.items() if key not in _TOOLS} for side in (before, after)]
    if rest[0] != rest[1]:
        return Locked(groups={}, everything="pyproject.toml says something else of the project itself")
    packages = {*before.packages, *after.packages}
    differ = {name for name in packages if before.packages.get(name) != after.packages.get(name)}
    groups: dict[str, tuple[str, ...]] = {}
    for group in sorted({*before.groups, *after.groups}):
        held = before.held(group) | after.held(group)
        gone = before.held(group) ^ after.held(group)
        said = sorted(_said(name, before, after) for name in (held & differ) | gone)
        if said:
            groups[group] = tuple(said)
    return Locked(groups=groups)


class _Side:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.project = tomllib.loads(files["pyproject.toml"].decode())
        lock = tomllib.loads(files["uv.lock"].decode())
        self.packages: dict[str, list[Any]] = {}
        own: dict[str, Any] = {}
        for package in lock.get("package", []):
            self.packages.setdefault(package["name"], []).append(package)
            if package.get("source", {}).keys() & {"editable", "virtual"}:
                own = package
        for name in [own.get("name", "")]:
            self.packages.pop(name, None)
        self.groups: dict[str, list[Any]] = own.get("dev-dependencies", {})

    def held(self, group: str) -> set[str]:
        """The packages that the group installs, with all that they need on any platform."""
        waiting = list(self.groups.get(group, []))
        found: set[str] = set()
        while waiting:
            one = waiting.pop()
            key = one["name"] + "".join(sorted(one.get("extra", [])))
            if key in found:
                continue
            found |= {key, one["name"]}
            for package in self.packages.get(one["name"], []):
                waiting += package.get("dependencies", [])
                for extra in one.get("extra", []):
                    waiting += package.get("optional-dependencies", {}).get(extra, [])
        return {name for name in found if name in self.packages}

    def versions(self, name: str) -> str:
        return "+".join(sorted(str(package.get("version", "?")) for package in self.packages.get(name, []))) or "absent"


def _said(name: str, before: _Side, after: _Side) -> str:
    old, new = before.versions(name), after.versions(name)
    return f"{name} {old} -> {new}" if old != new else f"{name} {new}"


def group_of(dockerfile: str) -> str:
    """The dependency group that a Dockerfile installs: what it says after `--group`; "" where it names none."""
    found = re.search(r"--group[= ]([A-Za-z0-9_-]+)", dockerfile)
    return found[1] if found else ""
