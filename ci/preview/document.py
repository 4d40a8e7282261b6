"""A preview as data for machines: everything that people are shown, by a versioned schema (`preview.schema.json`)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ci.preview.model import Change, StackChanges
from ci.preview.report import Money, Preview

VERSION = 1
SCHEMA = Path(__file__).with_name("preview.schema.json")


def document(preview: Preview) -> dict[str, Any]:
    """The preview by the schema. The same preview gives the same document."""
    commits = preview.commits
    return {
        "version": VERSION,
        "environment": preview.environment,
        "exit_code": preview.exit_code,
        "verdict": preview.verdict,
        "failure": preview.failure,
        "base": {"commit": commits.base, "how": commits.how},
        "head": {"commit": commits.head, "time": commits.time.strftime("%Y-%m-%dT%H:%M:%SZ"), "dirty": commits.dirty},
        "totals": preview.totals(),
        "all_stacks": {name: sorted(needs) for name, needs in sorted(preview.needs.items())},
        "stacks": [_stack(stack) for stack in preview.stacks],
        "risks": [asdict(risk) for risk in preview.risks],
        "sign_off": [asdict(one) for one in preview.sign_off()],
        "money": of_money(preview.money) if preview.money is not None else None,
        "live": asdict(preview.live),
        "notes": list(preview.notes),
        "fingerprint": preview.fingerprint,
    }


def text(preview: Preview) -> str:
    """The document as a file: sorted, indented, with a newline at its end."""
    return json.dumps(document(preview), indent=2, sort_keys=True) + "\n"


def _stack(stack: StackChanges) -> dict[str, Any]:
    changes = [_change(change) for change in stack.changes]
    return {"stack": stack.stack, "reasons": list(stack.reasons), "counts": stack.counts(), "changes": changes}


def _change(change: Change) -> dict[str, Any]:
    return {
        "urn": change.urn,
        "type": change.type,
        "name": change.name,
        "op": change.op,
        "may_replace": change.may_replace,
        "deletes_first": change.deletes_first,
        "properties": [asdict(one) for one in change.properties],
        "before": dict(change.before) if change.op == "delete" and change.before is not None else None,
        "after": dict(change.after) if change.op == "create" and change.after is not None else None,
    }


def of_money(money: Money) -> dict[str, Any]:
    """The estimates in whole cents."""
    lines = [
        {**asdict(line), "base": cents(line.base), "head": cents(line.head), "difference": cents(line.difference)}
        for line in money.lines
    ]
    budgets = [
        {**asdict(one), "base": cents(one.base), "head": cents(one.head), "over": one.over} for one in money.budgets
    ]
    return {
        "monthly_usd": {"base": cents(money.base), "head": cents(money.head), "difference": cents(money.difference)},
        "lines": lines,
        "budgets": budgets,
        "not_priced": list(money.not_priced),
        "origin": money.origin,
    }


def cents(amount: float) -> float:
    """The amount in whole cents, never -0.0."""
    return round(amount, 2) + 0.0
