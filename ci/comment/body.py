"""The text of a comment: the preview, what trusted code adds, and the commits before, within GitHub's limit."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from ci.preview.escaping import code, prose
from ci.preview.markdown import LIMIT, markdown, marker
from ci.preview.report import OPS, Preview

Outcome = Literal["failed", "sign-off", "changes", "no-change"]
OUTCOMES: tuple[Outcome, ...] = ("failed", "sign-off", "changes", "no-change")
"""The gravest first."""
_BY_CODE: dict[int, Outcome] = {0: "no-change", 1: "failed", 2: "changes", 3: "sign-off"}
_KEPT = 8
_ADDED = 4_000
_STATE = re.compile(r"<!-- state:(\[.{0,3000}\]) -->")
_OUTDATED = "> **Outdated**: "
_QUIET = "<!-- preview:nothing-changes -->"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What a comment showed of a commit: how it ended, and how many resources were created, changed and so on."""

    commit: str
    outcome: Outcome
    live: bool
    totals: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What there is to say of one environment: its preview, or why there is none."""

    environment: str
    preview: Preview | None = None
    failure: str = ""

    def shown(self, commit: str) -> Shown:
        """What is remembered of it."""
        if self.preview is None:
            return Shown(commit=commit, outcome="failed", live=False, totals=())
        totals = self.preview.totals()
        return Shown(
            commit=commit,
            outcome=_BY_CODE[self.preview.exit_code],
            live=self.preview.live.compared,
            totals=tuple(totals[op] for op in OPS),
        )


def body(section: Section, *, commit: str, run: str, notes: Sequence[str], before: Sequence[Shown]) -> str:
    """The comment of an environment. `before` is what it showed until now, the newest first; `run` is an address."""
    seen = _history(section.shown(commit), before)
    tail = "\n".join([*(f"> {note}" for note in notes), "", *_earlier(seen[1:]), f"[The run]({run})", _state(seen), ""])
    if section.preview is not None:
        text = markdown(section.preview, limit=LIMIT - _ADDED)
        if len(text) + len(tail) < LIMIT:
            return f"{text}\n{tail}"
    why = section.failure or "its preview is too long to be shown"
    said = [
        marker(section.environment),
        f"### Preview {section.environment} at {commit[:10]} · FAILED",
        "",
        f"**Nothing is known of this change**: {prose(why)}.",
        "",
    ]
    return "\n".join(said) + tail


def quiet(environments: Sequence[str], *, commit: str, run: str, notes: Sequence[str]) -> str:
    """The one comment of all environments in which nothing changes, and nothing changed before."""
    named = ", ".join(f"**{name}**" for name in sorted(environments))
    told = f"**No infrastructure change** in {named}." if environments else "See the other comments."
    said = [
        _QUIET,
        _heading(commit),
        "",
        told,
        "",
        *(f"> {note}" for note in notes),
        f"[The run]({run})",
        "",
    ]
    return "\n".join(said)


def is_quiet(text: str) -> bool:
    """Whether this is the comment of environments in which nothing changes."""
    return text.startswith(_QUIET)


def is_quiet_of(text: str, commit: str) -> bool:
    """Whether this is that comment, as it was written at this commit."""
    return is_quiet(text) and _heading(commit) in text.split("\n")[:3]


def _heading(commit: str) -> str:
    return f"### Preview at {commit[:10]}"


def outdated(text: str, *, commit: str) -> str:
    """The comment, with a first line that says that a newer commit is being previewed."""
    first, _, rest = text.partition("\n")
    lines = [line for line in rest.split("\n") if not line.startswith(_OUTDATED)]
    return "\n".join([first, f"{_OUTDATED}a preview of {commit[:10]} is under way; below is an older commit.", *lines])


def remembered(text: str) -> tuple[Shown, ...]:
    """What a comment of ours says of itself; nothing where it was damaged."""
    found = _STATE.findall(text)
    if not found:
        return ()
    try:
        return tuple(_shown(one) for one in json.loads(found[-1])[: _KEPT + 1])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ()


def _shown(found: dict[str, object]) -> Shown:
    commit, outcome, live, totals = (found[key] for key in ("commit", "outcome", "live", "totals"))
    if not (isinstance(commit, str) and re.fullmatch(r"[0-9a-f]{40}", commit) and outcome in OUTCOMES):
        raise ValueError
    if not isinstance(live, bool) or not isinstance(totals, list) or len(totals) not in (0, len(OPS)):
        raise ValueError
    if not all(type(one) is int and 0 <= one < 10**9 for one in totals):
        raise ValueError
    return Shown(commit=commit, outcome=outcome, live=live, totals=tuple(totals))  # type: ignore[arg-type]


def _history(now: Shown, before: Sequence[Shown]) -> list[Shown]:
    """This commit first, then the others, each once."""
    return [now, *(one for one in before if one.commit != now.commit)][: _KEPT + 1]


def _earlier(shown: Sequence[Shown]) -> list[str]:
    if not shown:
        return []
    rows = [f"- {code(one.commit[:10])} {_totals(one)}" for one in shown]
    return ["<details><summary>Commits before</summary>", "", *rows, "", "</details>", ""]


def _totals(shown: Shown) -> str:
    if not shown.totals:
        return "failed"
    return " · ".join(f"{op} {count:,}" for op, count in zip(OPS, shown.totals, strict=True))


def _state(shown: Sequence[Shown]) -> str:
    return f"<!-- state:{json.dumps([asdict(one) for one in shown], separators=(',', ':'), sort_keys=True)} -->"
