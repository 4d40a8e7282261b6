"""The public keys of service users: two slots each, kept as data in `infra/keys/<environment>.json`.

Two slots, so that while a key is exchanged the old and the new one both work. A private key is never here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from infra.environment import Environment
from leandata.errors import SettingsError

VERSION = 1
Number = Literal[1, 2]
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


@dataclass(frozen=True, kw_only=True, slots=True)
class Slots:
    """The public keys of one user as Snowflake takes them (base64 of DER, "" for none); `active` is the one in use."""

    active: Number = 1
    first: str = ""
    second: str = ""

    @property
    def idle(self) -> Number:
        """The slot that is not in use."""
        return 2 if self.active == 1 else 1

    def slot(self, number: Number) -> str:
        """The public key in a slot."""
        return self.first if number == 1 else self.second

    def holding(self, slot: Number, key: str) -> Slots:
        """The same slots with `key` in one of them."""
        return replace(self, first=key) if slot == 1 else replace(self, second=key)

    def using(self, slot: Number) -> Slots:
        """The same keys, with `slot` the one in use."""
        return replace(self, active=slot)


NONE = Slots()


def place(environment: Environment) -> Path:
    """Where the keys of an environment lie."""
    return environment.root / "infra" / "keys" / f"{environment.name}.json"


def load(path: Path) -> dict[str, Slots]:
    """The slots of every user that the file names; none when there is no file. Raises SettingsError."""
    if not path.exists():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if read["version"] != VERSION:
            raise SettingsError(f"{path.name} has version {read['version']}", where=str(path))
        return {user: _slots(found) for user, found in sorted(read["users"].items())}
    except SettingsError:
        raise
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise SettingsError(f"{path.name} holds no keys: {error!r}", where=str(path)) from error


def text(users: dict[str, Slots]) -> str:
    """The file's text, sorted."""
    found = {
        user: {"active": slots.active, "slots": {"1": slots.first, "2": slots.second}}
        for user, slots in sorted(users.items())
    }
    return json.dumps({"version": VERSION, "users": found}, indent=2, sort_keys=True) + "\n"


def body(pem: str) -> str:
    """A public key in PEM as Snowflake takes it: without its first and last line, in one line."""
    lines = [line.strip() for line in pem.strip().splitlines()]
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise SettingsError("no public key in PEM", hint="openssl rsa -in KEY -pubout")
    return "".join(lines[1:-1])


def pem(key: str) -> str:
    """The PEM text of a slot's key."""
    lines = [key[start : start + 64] for start in range(0, len(key), 64)]
    return "\n".join((_BEGIN, *lines, _END, ""))


def _slots(found: Any) -> Slots:
    active, keys = found["active"], found["slots"]
    if active not in (1, 2) or set(keys) != {"1", "2"} or not all(isinstance(key, str) for key in keys.values()):
        raise ValueError("a user has `active` (1 or 2) and two slots of text")
    return Slots(active=active, first=keys["1"], second=keys["2"])
