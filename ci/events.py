"""What the engine says while it works, condensed: what was done, and one clear line for each failure.

Raw engine errors are never shown: check failures and plan violations print secrets in plain text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_QUIET = frozenset({"same", "refresh", "read", "discard"})
SHOWN = frozenset({"create", "update", "delete", "replace"})
_SECRET = re.compile(r"\{&\{.*?\}\}", re.DOTALL)
_NOISE = ("update failed", "preview failed", "destroy failed", "resource", "failed with an unhandled exception")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing that is done: `op` is create, update, delete or replace; `changed` names properties, sorted.

    `type` is the last part of `whole`, such as `machine:index:File`; `urn` is the engine's name of the resource.
    """

    op: str
    type: str
    name: str
    changed: tuple[str, ...] = ()
    whole: str = ""
    urn: str = ""


@dataclass(slots=True)
class Log:
    """The events of one operation as they come in; `problems` are one-liners."""

    steps: list[Step] = field(default_factory=list[Step])
    problems: list[str] = field(default_factory=list[str])
    seen: set[str] = field(default_factory=set[str])
    current: str = ""

    @property
    def finished(self) -> int:
        """How many resources were looked at."""
        return len(self.seen)

    def take(self, event: Any) -> None:
        """Note one engine event."""
        if event.resource_pre_event is not None:
            self._started(event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            if not ours(event.res_outputs_event.metadata.type):
                self.seen.add(event.res_outputs_event.metadata.urn)
        elif event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            line = condense(event.diagnostic_event.message, urn=event.diagnostic_event.urn or "")
            if line and line not in self.problems:
                self.problems.append(line)

    def counts(self) -> dict[str, int]:
        """How many things were done, by what was done, sorted."""
        return dict(sorted(Counter(step.op for step in self.steps).items()))

    def _started(self, metadata: Any) -> None:
        op = op_of(metadata)
        if ours(metadata.type):
            return
        name = metadata.urn.rpartition("::")[2]
        if op not in _QUIET:
            self.current = name
        if op in SHOWN:
            names = tuple(sorted(metadata.detailed_diff or {}))
            short = metadata.type.rpartition(":")[2]
            self.steps.append(Step(op=op, type=short, name=name, changed=names, whole=metadata.type, urn=metadata.urn))


def condense(message: str, *, urn: str) -> str:
    """An engine error as one line that names its resource; "" for one that only repeats others."""
    message = _SECRET.sub("[secret]", re.sub(r"<\{%[^%]*%\}>", "", message))
    text = " ".join(message.split())
    text = re.sub(r"^(error: )+", "", text)
    text = re.sub(r"^.*rpc error: code = \w+ desc = ", "", text)
    text = re.sub(r"^(\d+ error occurred: )?\* ", "", text)
    text = re.sub(r"^resource partially created but read failed.*?: ", "", text)
    name = "" if "::pulumi:pulumi:Stack::" in urn else urn.rpartition("::")[2]
    if not text or (any(text.lower().startswith(noise) for noise in _NOISE) and not name):
        return ""
    if "Traceback (most recent call last)" in message:
        text = _last_of_traceback(message)
    return f"{name}: {text}"[:900] if name else text[:900]


def _last_of_traceback(message: str) -> str:
    lines = [line for line in message.strip().splitlines() if line and not line.startswith((" ", "\t"))]
    last = lines[-1] if lines else "the program failed"
    return re.sub(r"^[\w.]*?(\w*Error|\w*Exception): ", "", last)


def op_of(metadata: Any) -> str:
    """What the engine does to a resource, such as `create`: in events it is a text or an enumeration."""
    return str(getattr(metadata.op, "value", metadata.op))


def ours(type_: str) -> bool:
    """Whether this is not a thing that is made somewhere: the engine's own, and our components, are not counted."""
    return type_.startswith(("pulumi:", "leandata:"))
