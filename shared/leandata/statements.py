"""What an SQL statement touches: the tables and stages it reads, and the one it writes. Pure, and without a parser.

It knows the statements that pipelines use. Of any other one it says that it is no reading and no writing, so that
whoever asks can refuse it; it never guesses in favour of a statement.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "write", "session", "use", "other"]
Name = tuple[str, ...]

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<text>'(?:[^'\\]|''|\\.)*(?:'|\Z)|\$\$.*?(?:\$\$|\Z))
    |(?P<quoted>"(?:[^"]|"")*(?:"|\Z))
    |(?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    |(?P<number>[0-9][0-9A-Za-z_.]*)
    |(?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
_READS = frozenset({"SELECT", "WITH", "("})
_SESSION = frozenset({"BEGIN", "COMMIT", "DESC", "DESCRIBE", "ROLLBACK", "SHOW", "START"})
_WRITES = {
    "ALTER": ("TABLE", "VIEW"),
    "COPY": ("INTO",),
    "CREATE": ("TABLE", "VIEW"),
    "DELETE": ("FROM",),
    "DROP": ("TABLE", "VIEW"),
    "INSERT": ("INTO",),
    "MERGE": ("INTO",),
    "TRUNCATE": ("TABLE",),
    "UPDATE": ("",),
}
_BETWEEN = frozenset(
    {"IF", "EXISTS", "NOT", "OR", "REPLACE", "OVERWRITE", "TEMP", "TEMPORARY", "TRANSIENT", "SECURE", "LOCAL", "GLOBAL"}
)
_STARTS = frozenset({"CLONE", "FROM", "JOIN", "USING"})
_ENDS = frozenset(
    {"CONNECT", "GROUP", "HAVING", "LIMIT", "ORDER", "QUALIFY", "SELECT", "SET", "UNION", "VALUES", "WHERE", "WINDOW"}
)
_WITH_FROM = frozenset({"EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What one statement touches, names as upper-case parts. `writes` is () where it writes nothing we know of."""

    kind: Kind
    verb: str
    reads: frozenset[Name] = frozenset()
    writes: Name = ()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def name(self) -> bool:
        return self.kind in ("quoted", "word")


@functools.lru_cache(maxsize=256)
def statements(sql: str) -> tuple[Statement, ...]:
    """The statements of a text, one after the other."""
    found: list[Statement] = []
    one: list[_Token] = []
    for token in [*_tokens(sql), _Token("sign", ";")]:
        if token == _Token("sign", ";"):
            if one:
                found.append(_statement(one))
            one = []
        else:
            one.append(token)
    return tuple(found)


def _tokens(sql: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(sql):
        kind = str(match.lastgroup)
        if kind == "word":
            yield _Token(kind, match[0].upper())
        elif kind == "quoted":
            yield _Token(kind, match[0].strip('"').replace('""', '"').upper())
        elif kind != "space":
            yield _Token(kind, match[0])


def _statement(tokens: Sequence[_Token]) -> Statement:
    verb = tokens[0].text
    if verb in _READS:
        return Statement(kind="read", verb="SELECT", reads=_reads(tokens))
    if verb == "EXPLAIN":
        return _statement(tokens[1:]) if len(tokens) > 1 else Statement(kind="other", verb=verb)
    if verb in _SESSION or [token.text for token in tokens[:2]] == ["ALTER", "SESSION"]:
        return Statement(kind="session", verb=verb)
    if verb == "USE":
        return _use(tokens)
    if verb in _WRITES:
        return _write(tokens, verb)
    return Statement(kind="other", verb=verb)


def _use(tokens: Sequence[_Token]) -> Statement:
    """`writes` is the schema or the database that becomes the current one."""
    what = tokens[1].text if len(tokens) > 1 else ""
    start = 2 if what in ("DATABASE", "SCHEMA") else 1
    name, end = _name(tokens, start)
    if what in ("ROLE", "SECONDARY", "WAREHOUSE") or not name or end < len(tokens):
        return Statement(kind="other", verb=f"USE {what}".strip())
    return Statement(kind="use", verb=f"USE {what}" if start == 2 else "USE", writes=name)


def _write(tokens: Sequence[_Token], verb: str) -> Statement:
    """The thing that is written stands behind the word that says what it is; what follows is read."""
    start = 1
    while start < len(tokens) and tokens[start].text in _BETWEEN:
        start += 1
    words = _WRITES[verb]
    if start < len(tokens) and tokens[start].text in words:
        start += 1
    elif verb not in ("TRUNCATE", "UPDATE"):
        return Statement(kind="other", verb=" ".join(token.text for token in tokens[:2]))
    while start < len(tokens) and tokens[start].text in _BETWEEN:
        start += 1
    name, end = _name(tokens, start)
    if not name:
        return Statement(kind="other", verb=f"{verb} {words[0]}")
    if end < len(tokens) and tokens[end].text == "LIKE" and verb == "CREATE":
        end += 1
        return Statement(kind="write", verb=verb, writes=name, reads=frozenset({_name(tokens, end)[0]}))
    return Statement(kind="write", verb=verb, writes=name, reads=_reads(tokens[end:]))


def _name(tokens: Sequence[_Token], start: int) -> tuple[Name, int]:
    """The dotted name that begins there, and where it ends; () when none does."""
    parts: list[str] = []
    place = start
    while place < len(tokens) and tokens[place].name:
        parts.append(tokens[place].text)
        place += 1
        if place + 1 < len(tokens) and tokens[place].text == "." and tokens[place + 1].name:
            place += 1
        else:
            break
    return tuple(parts), place


def _reads(tokens: Sequence[_Token]) -> frozenset[Name]:
    """Every table and stage that stands where one is read, but the names that the statement itself gives."""
    own = {(name,) for name in _given(tokens)}
    return frozenset(name for name in _sources(tokens) if name not in own)


def _given(tokens: Sequence[_Token]) -> Iterator[str]:
    """Names of common table expressions: `name AS (` and `name (columns) AS (`."""
    for place, token in enumerate(tokens):
        if token.text == "AS" and place and tokens[place + 1 : place + 2] == [_Token("sign", "(")]:
            back = place - 1
            if tokens[back].text == ")":
                while back and tokens[back].text != "(":
                    back -= 1
                back -= 1
            if back >= 0 and tokens[back].name:
                yield tokens[back].text


def _sources(tokens: Sequence[_Token]) -> Iterator[Name]:
    """Names behind FROM, JOIN, USING and CLONE, and behind the commas of a list of tables, at any depth."""
    listing, plain = [False], [True]
    awaited = False
    place = 0
    while place < len(tokens):
        token = tokens[place]
        before = tokens[place - 1].text if place else ""
        if awaited and token.kind == "sign" and token.text == "@":
            name, place = _name(tokens, place + 1)
            awaited = False
            yield name
            continue
        if token.text == "(" and token.kind == "sign":
            awaited = awaited and before != "USING"  # whose brackets hold columns, or a query
            listing.append(awaited)
            plain.append(before not in _WITH_FROM)
        elif token.text == ")" and token.kind == "sign" and len(listing) > 1:
            listing.pop()
            plain.pop()
            awaited = False
        elif token.kind == "word" and token.text in _STARTS and plain[-1] and before != "DISTINCT":
            listing[-1] = awaited = True
        elif token.kind == "word" and token.text in _ENDS:
            listing[-1] = awaited = False
        elif token.text == "," and token.kind == "sign":
            awaited = listing[-1]
        elif awaited and token.name and token.text != "LATERAL":
            name, place = _name(tokens, place)
            awaited = False
            if tokens[place : place + 1] != [_Token("sign", "(")]:
                yield name
            continue
        place += 1
