"""`preview.json` of a request, taken as hostile: by its schema, of the right commit, and true to itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NoReturn

import jsonschema

from ci.comment.artifact import RefusedError
from ci.preview.document import SCHEMA, document
from ci.preview.model import Change, PropertyChange, Risk, StackChanges
from ci.preview.report import Budget, Commits, Live, LiveRow, Money, MoneyLine, Preview

_ROWS = 20_000
_DEEP = 60


def preview(data: bytes, *, environment: str, commit: str) -> Preview:
    """The preview in the file. Raises RefusedError, and never says what the file said.

    Its totals, verdict and sign-off are computed anew, and must be those that it gives.
    """
    found = _parsed(data)
    if not isinstance(found, dict):
        raise RefusedError("the preview is no JSON object")
    try:
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(found)
    except jsonschema.ValidationError as error:
        place = ".".join(str(part) for part in list(error.absolute_schema_path)[:6] if str(part).isidentifier())
        raise RefusedError(f"the preview breaks its schema at {place[:120] or 'its top'}") from None
    except RecursionError:
        raise RefusedError("the preview is nested too deeply") from None
    if found["environment"] != environment:
        raise RefusedError(f"the preview is not of {environment}")
    if found["head"]["commit"] != commit:
        raise RefusedError(f"the preview is not of the commit {commit[:10]}")
    if found["head"]["dirty"]:
        raise RefusedError("the preview is of files that were not committed")
    if len(found["risks"]) > _ROWS or sum(len(one["changes"]) for one in found["stacks"]) > _ROWS:
        raise RefusedError(f"the preview has more than {_ROWS:,} rows")
    return _true(found)


def _parsed(data: bytes) -> Any:
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_no_number)
        return found if _depth(found) <= _DEEP else _too_deep()
    except RecursionError:
        _too_deep()
    except ValueError:
        raise RefusedError("the preview is no JSON") from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _too_deep() -> NoReturn:
    raise RefusedError("the preview is nested too deeply")


def _depth(found: Any) -> int:
    """How many lists and objects lie in one another, counted level by level."""
    level, depth = [found], 0
    while level and depth <= _DEEP:
        inner: list[Any] = []
        for one in level:
            inner += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []
        level, depth = inner, depth + 1
    return depth


def _true(found: dict[str, Any]) -> Preview:
    try:
        made = _preview(found)
        again = json.loads(json.dumps(document(made)))
    except (ValueError, OverflowError, KeyError, TypeError):
        raise RefusedError("the preview holds a value that cannot be") from None
    for key in sorted(set(again) - {"money"}):
        if again[key] != found[key]:
            raise RefusedError(f"the preview contradicts itself in {key}")
    return made


def _preview(found: dict[str, Any]) -> Preview:
    head, base, live = found["head"], found["base"], found["live"]
    return Preview(
        environment=found["environment"],
        commits=Commits(
            base=base["commit"],
            how=base["how"],
            head=head["commit"],
            time=datetime.strptime(head["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            dirty=head["dirty"],
        ),
        stacks=tuple(_stack(one) for one in found["stacks"]),
        needs={name: tuple(needs) for name, needs in found["all_stacks"].items()},
        risks=tuple(Risk(**_with(one, teams=tuple(one["teams"]))) for one in found["risks"]),
        money=_money(found["money"]),
        live=Live(
            compared=live["compared"],
            why=live["why"],
            agreed=live["agreed"],
            rows=tuple(LiveRow(**_with(one, properties=tuple(one["properties"]))) for one in live["rows"]),
        ),
        notes=tuple(found["notes"]),
        fingerprint=found["fingerprint"],
        failure=found["failure"],
    )


def _stack(found: dict[str, Any]) -> StackChanges:
    changes: list[Change] = []
    for one in found["changes"]:
        properties = tuple(PropertyChange(**each) for each in one["properties"])
        changes.append(Change(**_with(one, stack=found["stack"], properties=properties)))
    return StackChanges(
        stack=found["stack"], reasons=tuple(found["reasons"]), changes=tuple(changes), same=found["counts"]["same"]
    )


def _money(found: dict[str, Any] | None) -> Money | None:
    if found is None:
        return None
    lines = [{key: one[key] for key in ("stack", "service", "base", "head")} for one in found["lines"]]
    budgets = [{key: one[key] for key in ("service", "allowed", "base", "head")} for one in found["budgets"]]
    return Money(
        lines=tuple(MoneyLine(**one) for one in lines),
        budgets=tuple(Budget(**one) for one in budgets),
        not_priced=tuple(found["not_priced"]),
        origin=found["origin"],
    )


def _with(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**found, **more}
