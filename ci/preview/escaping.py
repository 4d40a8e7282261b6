"""Text of programs and people in Markdown: shown as it is, never obeyed."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

# What Markdown, HTML or GitHub's extensions would read as something else than itself.
_MARKED = re.compile(r"[\\`*_{}\[\]()<>|&~!$#@]")
_BREAK = "\u200b"  # of no width: what follows is no mention, no issue, no link any more
_LINKS = re.compile(r"(?i)(?<=[a-z])(?=://)|(?<=www)(?=\.)|(?<=\bGH)(?=-\d)")
_CUT = "…"


def visible(text: str) -> str:
    """The text as one line, without characters that show nothing or turn the reading direction."""
    return plain(" ".join(text.split()))


def plain(line: str) -> str:
    """The line with its spaces, without control characters and those that turn the reading direction."""
    return "".join(char if unicodedata.category(char)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for char in line)


def cut(text: str, length: int) -> str:
    """The text, or its begin and end with an ellipsis between them, `length` characters long."""
    if len(text) <= length:
        return text
    tail = length // 4
    return f"{text[: length - tail - 1]}{_CUT}{text[len(text) - tail :]}"


def prose(text: str, *, length: int = 400) -> str:
    """A sentence for Markdown, also within a table."""
    return _escaped(cut(visible(text), length))


def code(text: str, *, length: int = 160) -> str:
    """A name or a value for Markdown, in the type of code; also within a table."""
    shown = cut(visible(text), length)
    return f"<code>{_escaped(shown)}</code>" if shown else "<code> </code>"


def value(found: Any) -> str:
    """A property's value as text: JSON, but plain texts without quotes."""
    return found if isinstance(found, str) else json.dumps(found, sort_keys=True, ensure_ascii=False, default=str)


def _escaped(text: str) -> str:
    """Punctuation as numbers of characters; mentions, issues and addresses broken up."""
    parted = _LINKS.sub(_BREAK, text)
    return _MARKED.sub(lambda found: f"&#{ord(found[0])};" + (_BREAK if found[0] in "@#" else ""), parted)
