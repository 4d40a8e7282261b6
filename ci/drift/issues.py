"""One issue a stack, that is opened, kept up to date and closed by itself: what to do is decided here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ci.drift.model import StackDrift
from ci.drift.report import markdown

LABEL = "drift"
_MARK = re.compile(r"^<!-- drift:(?P<environment>[a-z0-9-]+):(?P<stack>[a-z0-9_-]+) -->")


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """An open issue, as the forge tells it."""

    number: int
    author: str
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """What to do: create an issue, update the body of one, or close one with `body` as its last comment."""

    act: Literal["create", "update", "close"]
    stack: str
    number: int = 0
    title: str = ""
    body: str = ""


def decide(issues: Sequence[Issue], stacks: Sequence[StackDrift], *, environment: str, author: str) -> list[Action]:
    """The actions that leave one open issue for each stack with drift and none for others, by stack.

    Only issues that `author` has opened count: the mark in somebody else's text is text. An issue that says the same
    already is left alone, so that nobody is told twice. A stack that could not be looked at keeps its issue.
    """
    mine: dict[str, list[Issue]] = {}
    for issue in sorted(issues, key=lambda issue: issue.number):
        match = _MARK.match(issue.body)
        if match and issue.author == author and match["environment"] == environment:
            mine.setdefault(match["stack"], []).append(issue)
    actions: list[Action] = []
    for stack in sorted(stacks, key=lambda stack: stack.stack):
        actions += _for(stack, mine.pop(stack.stack, []), environment=environment)
    for name, left in sorted(mine.items()):
        closing = f"{environment} has no stack {name} any more."
        actions += [Action(act="close", stack=name, number=issue.number, body=closing) for issue in left]
    return actions


def body(environment: str, stack: StackDrift) -> str:
    """The text of the stack's issue, with the mark that finds it again."""
    return f"<!-- drift:{environment}:{stack.stack} -->\n{markdown(environment, stack)}"


def _for(stack: StackDrift, issues: Sequence[Issue], *, environment: str) -> list[Action]:
    wanted = bool(stack.error) or any(one.sort != "noise" for one in stack.differences)
    if not wanted:
        said = f"{environment} is as declared again."
        return [Action(act="close", stack=stack.stack, number=issue.number, body=said) for issue in issues]
    text = body(environment, stack)
    if not issues:
        title = f"Drift of {environment}: {stack.stack}"
        return [Action(act="create", stack=stack.stack, title=title, body=text)]
    first, *double = issues
    actions = (
        [Action(act="update", stack=stack.stack, number=first.number, body=text)]
        if first.body.strip() != text.strip()
        else []
    )
    said = f"The same as #{first.number}."
    return actions + [Action(act="close", stack=stack.stack, number=issue.number, body=said) for issue in double]
