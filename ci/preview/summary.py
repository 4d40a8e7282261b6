"""A preview as a person in a terminal reads it: totals, risks, who signs, the changes of each stack, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from ci.preview.document import cents
from ci.preview.escaping import cut, plain, visible
from ci.preview.report import SIGNS, Preview
from ci.snapshot import short

_SHOWN = 12


def summary(preview: Preview) -> str:
    """The lines, without a newline at the end."""
    return "\n".join(map(plain, _lines(preview)))


def _lines(preview: Preview) -> Iterator[str]:
    commits = preview.commits
    when = commits.time.strftime("%Y-%m-%d %H:%M UTC")
    yield f"Preview {preview.environment} at {commits.shown} ({when}): {preview.verdict}"
    yield f"  base: {commits.base[:10]} {commits.how}".rstrip()
    if preview.failure:
        yield f"  {visible(preview.failure)}"
        return
    yield "  " + ", ".join(f"{op} {count}" for op, count in preview.totals().items())
    yield from (f"  note: {visible(note)}" for note in preview.notes)
    for risk in preview.risks:
        needs = " + ".join([*risk.teams, *(["typed confirmation"] if risk.confirm else [])])
        yield f"  RISK {risk.kind}: {risk.stack} {short(risk.type)} {visible(risk.name)}: {visible(risk.why)} [{needs}]"
    for stack in preview.changed:
        yield f"  {stack.stack}: " + ", ".join(f"{op} {count}" for op, count in stack.counts().items() if count)
        for change in stack.changes[:_SHOWN]:
            names = ", ".join(one.path for one in change.properties[:6])
            names += " ..." if len(change.properties) > 6 else ""
            told = f": {visible(cut(names, 160))}" if names and change.op in ("update", "replace") else ""
            yield f"    {SIGNS[change.op]} {change.op:<8} {short(change.type)} {visible(change.name)}{told}"
        if len(stack.changes) > _SHOWN:
            yield f"    and {len(stack.changes) - _SHOWN} more"
    if preview.money is not None:
        yield f"  cost a month: {preview.money.head:,.2f} US dollars, {cents(preview.money.difference):+,.2f}"
    if preview.live.compared:
        yield f"  live: {preview.live.agreed} changes agree, {len(preview.live.rows)} do not"
        for row in preview.live.rows[:_SHOWN]:
            props = f": {', '.join(row.properties[:6])}" if row.properties else ""
            yield f"    {row.said}: {row.stack} {short(row.type)} {visible(row.name)}{visible(props)}"
    else:
        yield f"  not compared with the live state: {preview.live.why}"
