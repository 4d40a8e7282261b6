"""Where a program declares a resource: the engine's state keeps the lines that led to each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_FRAME = re.compile(r"^project:///(?:\.\./)*(?P<file>.+\.py)#(?P<line>\d+)")
_PROGRAMS = re.compile(r"(?:^|/)((?:services/[^/]+/deploy\.py|infra/stacks/.+))$")
_COMPONENTS = re.compile(r"(?:^|/)(infra/components/(?!stack\.py).+)$")


def of(resources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By URN, `file:line` of the program's own line; of the component's where the program's is not known."""
    found = {str(resource["urn"]): line_of(resource) for resource in resources}
    return {urn: place for urn, place in found.items() if place}


def line_of(resource: Mapping[str, Any]) -> str:
    """The line that declares the resource, from the root of the checkout; "" when nobody wrote it down."""
    positions = [
        resource.get("sourcePosition"),
        *(frame.get("sourcePosition") for frame in resource.get("stackTrace") or []),
    ]
    frames = [match for position in positions if (match := _FRAME.match(str(position)))]
    for pattern in (_PROGRAMS, _COMPONENTS):
        for frame in frames:
            inside = pattern.search(frame["file"])
            if inside:
                return f"{inside[1]}:{frame['line']}"
    return ""
