"""A preview as the comment of a pull request: at most 60,000 characters; totals and risks stay, diffs are cut first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ci.preview.escaping import code, prose, value
from ci.preview.model import Change, PropertyChange, StackChanges
from ci.preview.report import SIGNS, WORDS, Money, Preview, gravest_first
from ci.preview.risk_rows import LEVELS, Row, rows
from ci.snapshot import short

LIMIT = 60_000
_FOR_RISKS = 36_000
_FOR_HEAD = 16_000
_WHOLE = "the artifact `preview.html` and `preview.json` have all of it"


def marker(environment: str) -> str:
    """The hidden line by which the comment of an environment is found again."""
    return f"<!-- preview:{environment} -->"


def markdown(preview: Preview, *, limit: int = LIMIT) -> str:
    """The comment, of at most `limit` characters. The same preview gives the same bytes."""
    head = [marker(preview.environment), _heading(preview), ""]
    if preview.failure:
        said = (
            f"**The preview could not be made**, nothing is known of this change: {prose(preview.failure, length=2000)}"
        )
        return "\n".join([*head, said, *_notes(preview), "", _footer(preview), ""])
    end = _footer(preview)
    top = [*head, _totals(preview), "", *_risks(preview), *_signs(preview)]
    for part in (_affected(preview), _notes(preview), _money(preview.money), _live(preview)):
        lines = list(part)
        top += lines if _size([*top, *lines]) < limit - len(end) - 1_000 else [f"(left out here; {_WHOLE})", ""]
    room = limit - _size(top) - len(end) - 300
    return "\n".join([*top, *_details(preview.changed, room), "", end, ""])


def _size(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _heading(preview: Preview) -> str:
    commits = preview.commits
    when = commits.time.strftime("%Y-%m-%d %H:%M UTC")
    name = prose(preview.environment)
    return f"### Preview {name} at {prose(commits.shown)} · {when} · {prose(preview.verdict)}"


def _totals(preview: Preview) -> str:
    if not preview.changes:
        same = preview.totals()["same"]
        return f"**No infrastructure change**: {same:,} resources stay as they are."
    totals = " · ".join(f"{op} {count:,}" for op, count in preview.totals().items())
    return f"**{totals}**  ({len(preview.changed)} of {len(preview.needs)} stacks change)"


def _affected(preview: Preview) -> Iterator[str]:
    """Which stacks were looked at because they can differ, and why; as long as there is room."""
    told = [stack for stack in preview.stacks if stack.reasons]
    left = _FOR_HEAD // 2
    for number, stack in enumerate(told):
        line = f"- {code(stack.stack)}: {prose('; '.join(stack.reasons), length=300)}"
        left -= len(line)
        if left < 0:
            yield f"- and {len(told) - number} more stacks; {_WHOLE}"
            break
        yield line
    if told:
        yield ""


def _notes(preview: Preview) -> Iterator[str]:
    for note in preview.notes[:10]:
        yield f"> {prose(note)}"
    if len(preview.notes) > 10:
        yield f"> and {len(preview.notes) - 10} more notes"
    if preview.notes:
        yield ""


def _risks(preview: Preview) -> list[str]:
    """The table, grouped no more than it must be to fit."""
    if not preview.risks:
        return []
    lines: list[str] = []
    for level in range(LEVELS):
        found = rows(preview.risks, level)
        lines = ["| risk | resource | why | needs |", "| --- | --- | --- | --- |", *map(_risk, found)]
        if level:
            lines.append(f"\n{len(preview.risks):,} risks in {len(found):,} rows, none left out; {_WHOLE}.")
        if _size(lines) <= _FOR_RISKS:
            break
    return [*lines, ""]


def _risk(row: Row) -> str:
    where = " ".join(part for part in (row.stack, short(row.type)) if part)
    if len(row.names) == row.count or row.count == 1:
        named = ", ".join(code(name, length=120) for name in row.names)
    else:
        named = " … ".join(code(name, length=80) for name in row.names)
    many = f"{row.count:,} x " if row.count > 1 else ""
    needs = [prose(team, length=80) for team in row.teams[:12]] + (["typed confirmation"] if row.confirm else [])
    needs += [f"{len(row.teams) - 12} more teams"] if len(row.teams) > 12 else []
    return f"| {row.kind} | {many}{prose(where, length=120)}: {named} | {prose(row.why)} | {' + '.join(needs) or '-'} |"


def _signs(preview: Preview) -> Iterator[str]:
    teams = preview.sign_off()
    if not teams:
        return
    parts = [
        f"{prose(one.team, length=80)} ({one.risks:,}: {', '.join(one.kinds)})"
        + (" types names" if one.confirm else "")
        for one in teams[:60]
    ]
    more = f" and {len(teams) - 60} more teams" if len(teams) > 60 else ""
    yield f"**Sign-off, every team of these for this commit**: {' · '.join(parts)}{more}"
    yield ""


def _money(money: Money | None) -> Iterator[str]:
    if money is None or not (money.lines or money.not_priced):
        return
    change = f"{money.difference:+,.2f}" if abs(money.difference) >= 0.005 else "no change"
    yield f"**Cost a month** (estimate, {prose(money.origin)}): ${money.head:,.2f}, {change}"
    differing = [line for line in money.lines if abs(line.difference) >= 0.005]
    for line in differing[:30]:
        place = f"{code(line.stack)} {code(line.service)}"
        yield f"- {place}: {line.base:,.2f} → {line.head:,.2f} ({line.difference:+,.2f})"
    if len(differing) > 30:
        yield f"- and {len(differing) - 30} more; {_WHOLE}"
    for budget in (one for one in money.budgets if one.over):
        yield f"- over budget: {code(budget.service)} {budget.head:,.2f} of {budget.allowed:,.2f}"
    if money.not_priced:
        shown = "; ".join(prose(sentence, length=120) for sentence in money.not_priced[:8])
        more = f"; and {len(money.not_priced) - 8} more" if len(money.not_priced) > 8 else ""
        yield f"- not priced, and not counted as zero: {shown}{more}"
    yield ""


def _live(preview: Preview) -> Iterator[str]:
    live = preview.live
    if not live.compared:
        yield f"_Program against program, not compared with the live state: {prose(live.why)}_"
    else:
        yield f"**Compared with the live state**: {live.agreed:,} changes agree, {len(live.rows):,} do not."
        for row in live.rows[:40]:
            props = f" ({', '.join(code(name, length=60) for name in row.properties[:6])})" if row.properties else ""
            yield f"- {prose(row.said)}: {prose(row.stack)} {prose(short(row.type))} {code(row.name)}{props}"
        if len(live.rows) > 40:
            yield f"- and {len(live.rows) - 40} more; {_WHOLE}"
    yield ""


def _footer(preview: Preview) -> str:
    commits = preview.commits
    base = f"{code(commits.base[:10])}, {prose(commits.how)}" if commits.base else prose(commits.how)
    return f"Base: {base}." + (f" Plan fingerprint {code(preview.fingerprint)}" if preview.fingerprint else "")


def _details(stacks: Sequence[StackChanges], room: int) -> Iterator[str]:
    """Every stack folded, with as many of its changes as its share of the room holds; the gravest come first."""
    for number, stack in enumerate(stacks):
        counts = " · ".join(f"{op} {count:,}" for op, count in stack.counts().items() if count)
        opening = f"<details><summary>{code(stack.stack)} {counts}</summary>\n"
        closing = "\n</details>"
        room -= len(opening) + len(closing) + 2
        if room < 200:
            yield f"{len(stacks) - number:,} more stacks are left out here; {_WHOLE}."
            return
        share = room // (len(stacks) - number)
        lines, used = _within(stack, share)
        room -= used
        yield "\n".join([opening, *lines, closing])


def _within(stack: StackChanges, share: int) -> tuple[list[str], int]:
    lines: list[str] = []
    used = 0
    changes = gravest_first(stack)
    for number, change in enumerate(changes):
        line = _change(change)
        if used + len(line) + 1 > share - 150:
            lines.append(f"\n{len(changes) - number:,} more changes are left out here; {_WHOLE}.")
            used += len(lines[-1]) + 1
            break
        lines.append(line)
        used += len(line) + 1
    return lines, used


def _change(change: Change) -> str:
    unsure = " (may turn out as a replacement)" if change.may_replace and change.op == "update" else ""
    order = " (the old one is deleted first)" if change.deletes_first and change.op == "replace" else ""
    kind = prose(short(change.type), length=120)
    first = f"- `{SIGNS[change.op]}` {change.op} {kind} {code(change.name)}{unsure}{order}"
    if change.op in ("create", "delete"):
        return first
    properties = [f"  - {_property(one)}" for one in change.properties[:40]]
    if len(change.properties) > 40:
        properties.append(f"  - and {len(change.properties) - 40} more properties")
    return "\n".join([first, *properties])


def _property(one: PropertyChange) -> str:
    forces = {True: " **forces replacement**", None: " (may force replacement)", False: ""}[one.replaces]
    return f"{code(one.path, length=120)}: {_value(one.before)} → {_value(one.after)}{forces}"


def _value(found: Any) -> str:
    if isinstance(found, str) and found in WORDS:
        return WORDS[found]
    return code(value(found), length=120)
