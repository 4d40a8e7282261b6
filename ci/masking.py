"""Properties without what belongs to one machine or one commit: the same declaration reads the same anywhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TRIGGERS = frozenset({"code", "leandata.io/code", "COMMIT", "LEANDATA_COMMIT"})
_COMMITS = frozenset({"COMMIT", "LEANDATA_COMMIT"})
_GUARD = re.compile(r"^(/\S*/setpriv|--re[ug]id=\d+|--(clear|init)-groups|--(securebits|inh-caps|ambient-caps)=\S+)$")
_DIGEST = re.compile(r"\b(sha256:)?[0-9a-f]{16,64}\b")
# A manifest within a manifest. YAML quotes the commits that read as numbers, such as 401454158773 and 12345678e123.
_COMMIT_IN_TEXT = re.compile(r"(LEANDATA_COMMIT\W+?(?:value\W+?)?)('?)[0-9a-f]{7,40}\b\2")
_HASHED_NAME = re.compile(r"-(?=[0-9a-f]*\d)[0-9a-f]{8,}$")


def masked(value: Any, *, root: Path, state: Path) -> Any:
    """`value` with `<root>`, `<state>` and `<python>` for those paths, digests of code and images as `<digest>`.

    The commit and the digest of code are left out, and a list's entries such as `{name: LEANDATA_COMMIT}` too.
    Who runs a process (setpriv and its options) is left out, for it depends on who deploys. Mappings are sorted.
    """
    if isinstance(value, str):
        return _text(value, root=root, state=state)
    if isinstance(value, Mapping):
        return {
            str(key): masked(found, root=root, state=state)
            for key, found in sorted(value.items())
            if str(key) not in _TRIGGERS
        }
    if isinstance(value, Sequence):
        return [
            masked(found, root=root, state=state)
            for found in value
            if not (isinstance(found, str) and _GUARD.match(found))
            and not (isinstance(found, Mapping) and str(found.get("name")) in _TRIGGERS)
        ]
    return value


def portable(value: Any, *, root: Path) -> Any:
    """`value` with `<root>`, `<python>` for those paths, and `<commit>` for the commit that a service is told.

    Digests stay: another image or other code is a change.
    """
    if isinstance(value, str):
        return _COMMIT_IN_TEXT.sub(
            r"\1<commit>", value.replace(sys.executable, "<python>").replace(str(root), "<root>")
        )
    if isinstance(value, Mapping):
        told = str(value.get("name")) in _COMMITS and isinstance(value.get("value"), str)
        return {
            str(key): "<commit>" if key in _COMMITS or (told and key == "value") else portable(found, root=root)
            for key, found in sorted(value.items())
        }
    return [portable(found, root=root) for found in value] if isinstance(value, Sequence) else value


def stable_name(name: str) -> str:
    """A resource's name without the hash of its content that some end in: `migrate-*`."""
    return _HASHED_NAME.sub("-*", name)


def _text(text: str, *, root: Path, state: Path) -> str:
    for place, said in ((sys.executable, "<python>"), (str(state), "<state>"), (str(root), "<root>")):
        text = text.replace(place, said)
    return _DIGEST.sub("<digest>", _COMMIT_IN_TEXT.sub(r"\1<commit>", text))
