"""What the report shows and when it goes out: `report.toml` beside this file, checked when it is read."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from leandata.errors import SettingsError

FILE = Path(__file__).with_name("report.toml")
PARTS = ("figures", "unusual", "chart", "top_customers", "cohorts")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """`parts` in the order in which they are shown; the report is mailed from `weekday` on, after its week.

    `customers` is how many of the best customers are named, `usual_weeks` with how many weeks a week is compared.
    """

    parts: tuple[str, ...]
    weekday: str
    customers: int
    usual_weeks: int

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Read the file. Raises SettingsError naming the key that is wrong, missing or unknown."""
        try:
            return cls.parse(tomllib.loads(path.read_text(encoding="utf-8")), where=path.name)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"not TOML: {error}", where=path.name) from error

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str = "") -> Self:
        """Check the values. Raises SettingsError."""
        known = {one.name for one in fields(cls)}
        for name in sorted(known ^ values.keys()):
            raise SettingsError(f"{name}: {'missing' if name in known else 'nobody knows this key'}", where=where)
        parts = tuple(values["parts"]) if isinstance(values["parts"], list) else ()
        if not parts or len(set(parts)) != len(parts) or not set(parts) <= set(PARTS):
            raise SettingsError(f"parts: each at most once, of {', '.join(PARTS)}", where=where)
        if values["weekday"] not in DAYS:
            raise SettingsError(f"weekday: one of {', '.join(DAYS)}", where=where)
        for name, least, most in (("customers", 1, 50), ("usual_weeks", 8, 104)):
            if type(values[name]) is not int or not least <= values[name] <= most:
                raise SettingsError(f"{name}: a whole number from {least} to {most}", where=where)
        return cls(
            parts=parts,
            weekday=values["weekday"],
            customers=values["customers"],
            usual_weeks=values["usual_weeks"],
        )


@functools.cache
def parts() -> Parts:
    """The report's parts, read once."""
    return Parts.load()
