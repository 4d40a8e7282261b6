"""What a property must be. A shape says "" of a value that is right, else what it must be."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Collection
from typing import Any

Shape = Callable[[Any], str]
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_HIGHEST_PORT = 65535


def text(value: Any) -> str:
    """A text that says something."""
    return "" if isinstance(value, str) and value else "must be a text that is not empty"


def any_text(value: Any) -> str:
    """A text, empty or not."""
    return "" if isinstance(value, str) else "must be a text"


def flag(value: Any) -> str:
    """True or false."""
    return "" if isinstance(value, bool) else "must be true or false"


def path(value: Any) -> str:
    """An absolute path."""
    return "" if isinstance(value, str) and value.startswith("/") else "must be an absolute path"


def mode(value: Any) -> str:
    """The permissions of a file."""
    octal = isinstance(value, str) and len(value) == len("0750") and all(digit in string.octdigits for digit in value)
    return "" if octal else 'must be four octal digits, such as "0750"'


def seconds(value: Any) -> str:
    """A time above zero."""
    return "" if _number(value) and value > 0 else "must be a number of seconds above zero"


def count(value: Any) -> str:
    """A whole number that is not negative; the engine hands every number over as a float."""
    whole = _number(value) and value >= 0 and float(value).is_integer()
    return "" if whole else "must be a whole number, zero or more"


def port(value: Any) -> str:
    """A TCP port."""
    good = count(value) == "" and 0 < value <= _HIGHEST_PORT
    return "" if good else f"must be a port from 1 to {_HIGHEST_PORT}"


def command(value: Any) -> str:
    """A program and its arguments."""
    texts = isinstance(value, list) and bool(value) and all(isinstance(part, str) for part in value)
    return "" if texts and value[0] else "must name a program"


def names(value: Any) -> str:
    """A list of names, at least one."""
    good = isinstance(value, list) and bool(value) and all(text(part) == "" for part in value)
    return "" if good else "must be a list of names that is not empty"


def texts(value: Any) -> str:
    """Texts by name."""
    good = isinstance(value, dict) and all(isinstance(found, str) for found in value.values())
    return "" if good else "must map names to texts"


def paths(value: Any) -> str:
    """Absolute paths by name."""
    good = isinstance(value, dict) and all(path(found) == "" for found in value.values())
    return "" if good else "must map names to absolute paths"


def identifier(value: Any) -> str:
    """A name that stands in SQL as it is."""
    good = isinstance(value, str) and _IDENTIFIER.fullmatch(value)
    return "" if good else "must be a name of letters, digits and _"


def qualified(value: Any) -> str:
    """A schema with its database."""
    parts = value.split(".") if isinstance(value, str) else []
    good = len(parts) == len(("database", "schema")) and all(identifier(part) == "" for part in parts)
    return "" if good else "must be DATABASE.SCHEMA"


def warehouse(value: Any) -> str:
    """The address of a warehouse."""
    good = isinstance(value, str) and value.startswith("snowflake://")
    return "" if good else "must be an address such as snowflake://user@account"


def one_of(allowed: Collection[str]) -> Shape:
    """One of these words."""
    *words, last = sorted(allowed)
    listed = f"{', '.join(words)} or {last}"

    def shape(value: Any) -> str:
        return "" if isinstance(value, str) and value in allowed else f"must be {listed}"

    return shape


def health(value: Any) -> str:
    """How a process shows that it works: see `infra.provider.resources.Health`."""
    found = value if isinstance(value, dict) else {}
    kind = found.get("kind")
    good = (
        kind == "running"
        or (kind == "http" and str(found.get("url", "")).startswith("http://"))
        or (kind == "tcp" and port(found.get("port")) == "")
    )
    return "" if good else "must be an address (http), a port (tcp) or running"


def left(value: Any) -> str:
    """What a job leaves in a database: see `infra.provider.resources.Job`."""
    found = value if isinstance(value, dict) else {}
    address = str(found.get("address", "")).startswith("postgresql://")
    good = set(found) == {"address", "relations"} and address and names(found["relations"]) == ""
    return "" if good else "must be the address of a database (postgresql://...) and the relations in it"


def server(value: Any) -> str:
    """How the provider reaches a PostgreSQL server: see `infra.provider.resources.Server`."""
    found = value if isinstance(value, dict) else {}
    parts = {"host": text, "port": port, "user": text, "password_file": path}
    wrong = [f"{name} {said}" for name, shape in sorted(parts.items()) if (said := shape(found.get(name)))]
    return f"is not whole: {wrong[0]}" if wrong else ""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
