"""Secrets that no program marked: found by the names of properties and by their form, and shown nowhere.

A program's marked secrets are `[secret]` already. This finds those that were typed in plain, also within connection
strings, nested documents and base64, and hides every other place where the same value stands.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ci.preview.differing import document
from ci.preview.model import ABSENT, LATER, Change, PropertyChange, Risk, StackChanges
from ci.programs import HIDDEN

_NAMED = re.compile(
    r"(?i)(pass(word|wd|phrase)?|pwd|secret|token|credentials?|private_?key|access_?key|api_?key|auth_?key|account_?key"
    r"|signing_?key|encryption_?key|connection_?string|dsn|sas|salt)s?$"
)
# What only leads to a secret, or says how it is handled.
_ABOUT = re.compile(
    r"(?i)(arn|name|id|ref|file|path|version|policy|rotation|length|days|hours|type|kind|url|uri|provider)s?$"
)
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_FORMS = (
    re.compile(r"(?P<keep>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@\"']*:)(?P<secret>[^\s/@\"']+(?:@(?=[^\s/@\"']*@)[^\s/@\"']+)*)(?=@)"),
    re.compile(
        r"(?i)(?P<keep>(?<![a-z0-9])(?:\w*(?:password|passwd|passphrase|pwd|secret|token|(?:api|access|account|private|shared"
        r"access)_?-?key|signature|credential))[\"']?\s*[=:]\s*[\"']?)(?P<secret>(?!\[secret\])[^\s\"',;&}]{4,})"
    ),
    re.compile(r"(?i)(?P<keep>\b(?:bearer|basic)\s+)(?P<secret>[A-Za-z0-9+/._~-]{8,}=*)"),
    re.compile(r"(?i)(?P<keep>--?(?:password|passwd|token|secret|api-?key)[ =])(?P<secret>[^\s-][^\s]{3,})"),
    re.compile(r"(?s)(?P<keep>)(?P<secret>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|$))"),
    re.compile(r"(?P<keep>)(?P<secret>\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)"),
    re.compile(r"(?P<keep>)(?P<secret>\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abpr]-[\w-]{10,}|sk-[\w-]{20,})\b)"),
    re.compile(r"(?P<keep>)(?P<secret>\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"),
)  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_REFERENCE = re.compile(
    r"^(arn:|\$|/|https?://[^@]*$|projects/|\[secret\]$|<[a-z]+>$|true$|false$|null$|none$|)$|^arn:|^\$[{(]",
    re.IGNORECASE,
)
_SHORTEST = 4
_KINDS_OF_SECRETS = ("kubernetes:core/v1:Secret",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Redactor:
    """Hides: what looks like a secret where it stands, and the values in `known` wherever they stand."""

    known: tuple[str, ...] = ()

    @classmethod
    def learned(cls, stacks: Sequence[StackChanges]) -> Redactor:
        """One that knows every secret that these changes show anywhere."""
        found: set[str] = set()
        for change in (change for stack in stacks for change in stack.changes):
            for whole in (change.before, change.after):
                found |= set(secrets_of(whole, opaque=change.type in _KINDS_OF_SECRETS))
            for one in change.properties:
                for value in (one.before, one.after):
                    found |= set(_under(one.path, value))
        long = {secret for secret in found if len(secret) >= _SHORTEST and secret not in (HIDDEN, ABSENT, LATER)}
        return cls(known=tuple(sorted({form for one in long for form in forms(one)}, key=lambda one: (-len(one), one))))

    def stack(self, stack: StackChanges) -> StackChanges:
        """The stack's changes without a secret."""
        return replace(stack, changes=tuple(map(self._change, stack.changes)))

    def risk(self, risk: Risk) -> Risk:
        """The risk without a secret in its sentence."""
        return replace(risk, why=self.text(risk.why))

    def _change(self, change: Change) -> Change:
        opaque = change.type in _KINDS_OF_SECRETS
        return replace(
            change,
            before=None if change.before is None else self.value(change.before, opaque=opaque),
            after=None if change.after is None else self.value(change.after, opaque=opaque),
            properties=tuple(self._property(one, opaque=opaque) for one in change.properties),
        )

    def _property(self, one: PropertyChange, *, opaque: bool) -> PropertyChange:
        closed = opaque and re.split(r"[.\[]", one.path)[0] in ("data", "stringData")

        def shown(found: Any) -> Any:
            if isinstance(found, str) and found in (ABSENT, LATER):
                return found
            if closed:
                return self._all(found)
            hidden = set(_under(one.path, found))
            return HIDDEN if isinstance(found, str) and found in hidden else self.value(found)

        return replace(one, before=shown(one.before), after=shown(one.after))

    def value(self, found: Any, *, opaque: bool = False) -> Any:
        """The value with every secret in it hidden; with `opaque` all of `data` and `stringData`."""
        if isinstance(found, Mapping):
            named = _entry(found)
            return {
                key: HIDDEN
                if _hides(key, one) or (named and key == "value" and isinstance(one, str))
                else self._all(one)
                if opaque and key in ("data", "stringData")
                else self.value(one)
                for key, one in found.items()
            }
        if isinstance(found, str):
            return self.text(found)
        return [self.value(one) for one in found] if isinstance(found, Sequence) else found

    def _all(self, found: Any) -> Any:
        return dict.fromkeys(found, HIDDEN) if isinstance(found, Mapping) else HIDDEN

    def text(self, text: str) -> str:
        """The text with every secret in it hidden."""
        for secret in self.known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        found = document(text)
        if found is not None:
            shown = self.value(found)
            return text if shown == found else json.dumps(shown)
        for form in _FORMS:
            text = form.sub(lambda match: f"{match['keep']}{HIDDEN}", text)
        return _BASE64.sub(lambda match: HIDDEN if _coded(match[0]) else match[0], text)


def secrets_of(found: Any, *, opaque: bool = False) -> Iterator[str]:
    """Every value in `found` that is a secret by its property's name or by its form."""
    if isinstance(found, Mapping):
        named = _entry(found)
        for key, one in found.items():
            whole = opaque and key in ("data", "stringData")
            hidden = _hides(key, one) or whole or (named and key == "value")
            yield from _leaves(one) if hidden else secrets_of(one)
    elif isinstance(found, str):
        yield from _of_text(found)
    elif isinstance(found, Sequence):
        for one in found:
            yield from secrets_of(one)


def _of_text(text: str) -> Iterator[str]:
    yield from secrets_of(document(text))
    for form in _FORMS:
        yield from (match["secret"] for match in form.finditer(text))
    for match in _BASE64.finditer(text):
        decoded = _coded(match[0])
        if decoded:
            yield from (match[0], *secrets_of(decoded))


def forms(secret: str) -> set[str]:
    """The secret as it is, and in the forms in which texts carry one: base64 (at any offset), hex, URL, JSON."""
    raw = secret.encode()
    found = {secret, raw.hex(), urllib.parse.quote(secret, safe=""), json.dumps(secret)[1:-1]}
    for offset in range(3):
        for code in (base64.b64encode, base64.urlsafe_b64encode):
            text = code(b"\0" * offset + raw).decode().rstrip("=")
            # The first and last characters hold bits of neighbours as well.
            start, spare = (0, 2, 3)[offset], (offset + len(raw)) % 3
            core = text[start : len(text) - (1 if spare else 0)]
            found |= {core} if len(core) >= 8 else set()
    return found


def _under(path: str, value: Any) -> Iterator[str]:
    """The secrets in a value at `path`, whose parts may name it as one."""
    keys = [key for key in re.split(r"[.\[\]]+", path) if key]
    if any(_hides(key, value) for key in keys[-2:]) or (
        keys[-1:] == ["value"] and any(_hides(key, value) for key in keys)
    ):
        yield from _leaves(value)
    yield from secrets_of(value)


def _hides(key: object, value: Any) -> bool:
    """Whether a property of this name holds a secret itself, and not where one is or how it is kept."""
    last = "_".join(_WORD.findall(str(key)))
    if not isinstance(value, str | Sequence) or _ABOUT.search(last) or not _NAMED.search(last):
        return False
    return not (isinstance(value, str) and _REFERENCE.search(value))


def _entry(found: Mapping[Any, Any]) -> bool:
    """Whether this is an entry such as {name: DB_PASSWORD, value: ...}."""
    return "value" in found and any(_hides(found.get(key, ""), found["value"]) for key in ("name", "key"))


def _leaves(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, Mapping):
        for one in found.values():
            yield from _leaves(one)
    elif isinstance(found, Sequence):
        for one in found:
            yield from _leaves(one)


def _coded(text: str) -> str:
    """What a base64 text says where that is a text with a secret in it; "" for anything else."""
    for decode in (base64.b64decode, base64.urlsafe_b64decode):
        try:
            decoded = decode(text + "=" * (-len(text) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if decoded.isprintable() and any(True for _ in secrets_of(decoded)):
            return decoded
    return ""
