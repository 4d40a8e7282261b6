"""Sizes and durations with their unit in the text: "512MiB", "60s"."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[A-Za-z]+)")


def parse_size(text: object) -> int:
    """Bytes of a size such as "512MiB". Raises ValueError naming the units that are known."""
    return round(_parse(text, _SIZES, kind="a size", example="512MiB"))


def parse_duration(text: object) -> float:
    """Seconds of a duration such as "60s". Raises ValueError naming the units that are known."""
    return _parse(text, _SECONDS, kind="a duration", example="60s")


def format_size(size: float) -> str:
    """A size for people, in the largest binary unit that keeps it at one or more: `1.5GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f}{unit}" if unit == "B" else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}TiB"


def _parse(text: object, units: dict[str, float] | dict[str, int], *, kind: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or match["unit"] not in units:
        raise ValueError(f"{text!r} is not {kind}: write it like {example!r}, in one of {', '.join(units)}")
    return float(match["number"]) * units[match["unit"]]


Size = Annotated[int, BeforeValidator(parse_size)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
