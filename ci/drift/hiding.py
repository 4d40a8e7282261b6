"""Values for people: secrets masked, long texts cut to the lines that differ."""

from __future__ import annotations

import base64
import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.programs import HIDDEN

_LONGEST = 300
_SHORTEST_SECRET = 8
_KEY = r"(?:pass(?:word|wd|phrase)?|secret|token|credential|private[_-]?key|api[_-]?key|access[_-]?key|fernet[_-]?key)"
_ASSIGNED = re.compile(
    rf"(?i)([\w.-]*{_KEY}[\w.-]*[\"']?\s*[:=]\s*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;}}]+)"
)
_IN_ADDRESS = re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+(@)")
_PEM = re.compile(r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL)
_NAMED = re.compile(rf"(?i)(^|[._\[-])[\w-]*{_KEY}[\w-]*$")
_PLACE = re.compile(r"(\[\d+\])+$")
_A_PATH = re.compile(r"(?i)(_|-)?(file|path|files)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hider:
    """Masks the `secrets` that are known, in clear and in base64, and whatever looks like one."""

    secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Hider:
        """One that knows the secrets in the files of `folder`."""
        values: set[str] = set()
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_file():
                values |= set(_forms(path.read_bytes()))
        return cls(secrets=tuple(sorted(values, key=lambda value: (-len(value), value))))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for value in self.secrets:
            text = text.replace(value, HIDDEN)
        text = _PEM.sub(HIDDEN, text)
        text = _IN_ADDRESS.sub(rf"\1{HIDDEN}\2", text)
        return _ASSIGNED.sub(lambda match: match[1] + (match[2] if _harmless(match) else HIDDEN), text)

    def pair(self, before: Any, after: Any, *, property: str = "") -> tuple[str, str]:  # noqa: A002 - as the model has it
        """Two values of a property as one line each, of at most 300 characters."""
        raw = _as_text(before), _as_text(after)
        one, other = self.text(raw[0]), self.text(raw[1])  # before lines are taken apart: a key is known by its first
        named = _PLACE.sub("", property)
        if (_NAMED.search(named) and not _A_PATH.search(named)) or (one == other and raw[0] != raw[1]):
            return HIDDEN, HIDDEN
        if "\n" in one or "\n" in other:
            one, other = _lines(one, other)
        return self._short(one), self._short(other)

    def _short(self, text: str) -> str:
        told = self.text(text).strip().replace("\n", " ⏎ ")
        return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."


def _harmless(match: re.Match[str]) -> bool:
    """A path to a secret is none, and what is masked stays so."""
    return bool(_A_PATH.search(match[1].rstrip(" :=\"'"))) or HIDDEN in match[2]


def _lines(before: str, after: str) -> tuple[str, str]:
    """The lines that went and those that came."""
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    went, came = ("\n".join(line[2:] for line in lines if line.startswith(sign)) for sign in ("- ", "+ "))
    return went, came


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _forms(raw: bytes) -> Iterable[str]:
    for value in {raw, raw.strip()}:
        text = value.decode("utf-8", errors="replace")
        if len(text) < _SHORTEST_SECRET:
            continue
        yield text
        yield base64.b64encode(value).decode()
        yield json.dumps(text)[1:-1]
