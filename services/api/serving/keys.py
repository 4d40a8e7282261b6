"""The keys of the API's clients: `python -m serving.keys create|list|rotate|revoke`.

A key is 256 random bits. Only its SHA-256 is kept: nobody can try 2^256 keys, so a slow hash, which protects passwords
that people chose, would only slow every request down. A key is shown once, when it is made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString

from leandata.database import Connection, connect
from leandata.errors import DatabaseError, LeandataError
from leandata.settings import Settings

SCOPES: Final = {
    "events:write": "send events",
    "events:read": "follow events and their totals, which tell of customers",
    "figures:read": "sales, segments, cohorts, freshness, checks",
    "customers:read": "single customers and predictions of them",
    "export:read": "whole datasets as files",
}
SCHEMA_SQL: Final[LiteralString] = """
CREATE SCHEMA IF NOT EXISTS access;
CREATE TABLE IF NOT EXISTS access.keys (
    id text PRIMARY KEY, name text NOT NULL, digest bytea NOT NULL, scopes text[] NOT NULL, rate integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz, revoked_at timestamptz,
    successor text REFERENCES access.keys);
"""
SELECT_SQL: Final[LiteralString] = (
    "SELECT id, name, digest, scopes, rate, created_at, expires_at, revoked_at, successor FROM access.keys"
    " ORDER BY name, created_at, id"
)
_PREFIX = "ldk"
_RATE = 50
_GRACE_HOURS = 24
_MOST_HOURS = 24 * 90
_MOST_RATE = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A key: what it may do, and how many requests a second it may send (0 = any number)."""

    id: str
    name: str
    digest: bytes
    scopes: frozenset[str]
    rate: int
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    successor: str | None = None

    def state(self, now: datetime) -> str:
        """`valid`, `expiring` (valid until it expires), `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is None:
            return "valid"
        return "expiring" if now < self.expires_at else "expired"


def to_key(row: Sequence[Any]) -> Key:
    """A row of SELECT_SQL as a value."""
    id_, name, digest, scopes, rate, created, expires, revoked, successor = row
    return Key(
        id=id_, name=name, digest=bytes(digest), scopes=frozenset(scopes), rate=rate, created_at=created,
        expires_at=expires, revoked_at=revoked, successor=successor,
    )  # fmt: skip


def digest(text: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(text.encode()).digest()


def id_of(text: str) -> str:
    """The id that a key names; "" for what is no key."""
    prefix, _, rest = text.partition("_")
    return rest.partition("_")[0] if prefix == _PREFIX else ""


def parsed_scopes(text: str) -> frozenset[str]:
    """The scopes in a text, separated by commas. Raises LeandataError naming the known ones."""
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    strange = sorted(found - set(SCOPES))
    if strange or not found:
        what = f"no scope {strange[0]!r}" if strange else "a key needs a scope"
        raise LeandataError(what, hint=f"SCOPES is one or more of: {', '.join(SCOPES)}")
    return found


class Keys:
    """The table of keys. Changes are made when the surrounding transaction commits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute("SELECT pg_advisory_xact_lock(7205120)")
        connection.execute(SCHEMA_SQL)

    def all(self) -> list[Key]:
        """Every key that ever was, by name."""
        return [to_key(row) for row in self._connection.execute(SELECT_SQL).fetchall()]

    def create(self, name: str, *, scopes: frozenset[str], rate: int = _RATE) -> tuple[Key, str]:
        """A new key, and its text, which nobody can find out again."""
        id_ = secrets.token_hex(6)
        text = f"{_PREFIX}_{id_}_{secrets.token_urlsafe(32)}"
        self._connection.execute(
            "INSERT INTO access.keys (id, name, digest, scopes, rate) VALUES (%s, %s, %s, %s, %s)",
            [id_, name, digest(text), sorted(scopes), rate],
        )
        return self._one(id_), text

    def rotate(self, id_: str, *, grace: timedelta) -> tuple[Key, str]:
        """A key to follow the key `id_`, which stays valid for `grace`. Raises DatabaseError if it has one already."""
        old = self._valid(id_)
        if old.successor:
            raise DatabaseError(f"key {id_} is being replaced by {old.successor}", hint="Rotate that one")
        new, text = self.create(old.name, scopes=old.scopes, rate=old.rate)
        self._connection.execute(
            "UPDATE access.keys SET expires_at = %s, successor = %s WHERE id = %s",
            [datetime.now(UTC) + grace, new.id, id_],
        )
        return new, text

    def revoke(self, id_: str) -> Key:
        """End a key; the API hears of it within seconds. Raises DatabaseError for one that is not valid."""
        self._valid(id_)
        self._connection.execute("UPDATE access.keys SET revoked_at = now() WHERE id = %s", [id_])
        return self._one(id_)

    def _valid(self, id_: str) -> Key:
        found = self._one(id_)
        if (state := found.state(datetime.now(UTC))) in ("revoked", "expired"):
            raise DatabaseError(f"key {id_} is {state}", hint="Create a new one")
        return found

    def _one(self, id_: str) -> Key:
        for key in self.all():
            if key.id == id_:
                return key
        raise DatabaseError(f"no key {id_!r}", hint="LIST=yes shows the ids")


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = argparse.ArgumentParser(prog="python -m serving.keys", description="The keys of the API's clients.")
    top.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    top.add_argument("--dry", action="store_true", help="say what would be done, do nothing")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a key and show it, once")
    create.add_argument("name", help="who uses it")
    create.add_argument("--scopes", required=True, help=f"one or more of: {', '.join(SCOPES)}")
    create.add_argument("--rate", type=int, default=_RATE, help=f"requests a second, 0 for any number ({_RATE})")
    verbs.add_parser("list", help="show all keys, without their secret part")
    rotate = verbs.add_parser("rotate", help="make a key to follow one; both are valid for a while")
    rotate.add_argument("id")
    rotate.add_argument("--hours", type=float, default=_GRACE_HOURS, help=f"how long ({_GRACE_HOURS})")
    verbs.add_parser("revoke", help="end a key at once").add_argument("id")
    return top


def run(options: argparse.Namespace, connection: Connection) -> dict[str, Any]:
    """Do what the command line says; what there is to tell. Raises LeandataError."""
    keys = Keys(connection)
    match options.verb:
        case "create":
            if not 0 <= options.rate <= _MOST_RATE:
                raise LeandataError(f"a rate is 0 to {_MOST_RATE} a second", hint="RATE=50, or 0 for any number")
            if not _NAME.fullmatch(options.name):
                raise LeandataError(f"{options.name!r} cannot name a client", hint="Letters, digits, dash, at most 40")
            key, text = keys.create(options.name, scopes=parsed_scopes(options.scopes), rate=options.rate)
        case "rotate":
            if not 0 <= options.hours <= _MOST_HOURS:
                raise LeandataError(f"both keys are valid for 0 to {_MOST_HOURS} hours", hint="--hours 24")
            key, text = keys.rotate(options.id, grace=timedelta(hours=options.hours))
        case "revoke":
            key, text = keys.revoke(options.id), ""
        case _:
            return {"keys": [shown(key) for key in keys.all()]}
    if options.dry:
        connection.rollback()
        return {"dry": True, "would": options.verb, "name": key.name, "scopes": sorted(key.scopes)}
    connection.commit()
    return {"key": {**shown(key), **({"text": text} if text else {})}}


def shown(key: Key) -> dict[str, Any]:
    """A key without its digest, with its state."""
    found = {**asdict(key), "scopes": sorted(key.scopes), "state": key.state(datetime.now(UTC))}
    del found["digest"]
    return found


def told(answer: dict[str, Any]) -> str:
    """The same for people."""
    if "keys" in answer:
        rows = [
            f"{one['id']:<14} {one['name']:<20} {one['state']:<9} {one['rate']:>5}/s  {','.join(one['scopes'])}"
            for one in answer["keys"]
        ]
        return "\n".join(rows) or "no keys but the one in the file"
    if answer.get("dry"):
        return f"would {answer['would']} a key of {answer['name']}: {', '.join(answer['scopes'])}"
    key = answer["key"]
    line = f"{key['id']} of {key['name']} is {key['state']}: {', '.join(key['scopes'])}"
    return f"{line}\n{key['text']}   <- shown this once; only its hash is kept" if "text" in key else line


def main() -> int:
    """0 when it was done, 1 with one clear line when not."""
    options = parser().parse_args()
    try:
        with connect(Settings.load(os.environ).events) as connection:
            answer = run(options, connection)
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"version": 1, **answer}, indent=2, default=str) if options.json else told(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
