"""A preview as one small HTML page: nothing from outside, readable without scripts, in light and dark, on a phone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from html import escape

from ci.preview.document import cents
from ci.preview.escaping import cut, value, visible
from ci.preview.model import Change, PropertyChange, StackChanges
from ci.preview.report import OPS, SIGNS, WORDS, Money, Preview, gravest_first
from ci.render_svg import Box, diagram
from ci.snapshot import short

_STYLE = """
:root{--ink:#1e293b;--soft:#475569;--ground:#fff;--card:#f8fafc;--line:#e2e8f0;--stop:#b91c1c;--go:#15803d;--care:#b45309}
@media (prefers-color-scheme:dark){:root{--ink:#e2e8f0;--soft:#94a3b8;--ground:#0b1120;--card:#0f172a;--line:#334155;
--stop:#f87171;--go:#4ade80;--care:#fbbf24}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}
main{max-width:1080px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:22px;margin:0 0 2px}h2{font-size:17px;margin:30px 0 8px}
p{margin:4px 0}.soft{color:var(--soft)}.stop{color:var(--stop)}.go{color:var(--go)}.care{color:var(--care)}
.verdict{font-size:18px;font-weight:600;margin:8px 0 14px}
.chips{display:flex;flex-wrap:wrap;gap:8px}
.chip{border:1px solid var(--line);border-radius:8px;padding:4px 12px;background:var(--card)}
.chip b{font-size:18px;margin-right:6px}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
.wide svg{display:block;max-width:max(100%,720px);height:auto}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--line);
vertical-align:top}th{font-weight:600;color:var(--soft);font-size:13px}tr:last-child td{border-bottom:0}
td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
code{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
details{border:1px solid var(--line);border-radius:8px;margin:8px 0;background:var(--card)}
summary{cursor:pointer;padding:8px 12px}details>div{padding:0 12px 10px}
ul{margin:4px 0;padding-left:18px}.change{margin:8px 0}
input{font:inherit;width:100%;max-width:420px;padding:6px 10px;border:1px solid var(--line);border-radius:8px;
background:var(--ground);color:var(--ink);margin:14px 0 0}
"""
_SCRIPT = (
    "const f=document.getElementById('f');f.hidden=false;f.oninput=()=>{const q=f.value.toLowerCase();"
    "document.querySelectorAll('[data-row]').forEach(e=>{e.hidden=q&&!e.textContent.toLowerCase().includes(q)});"
    "document.querySelectorAll('details').forEach(d=>{if(q)d.open=!!d.querySelector('[data-row]:not([hidden])')})}"
)


def page(preview: Preview, *, counts: Mapping[str, Mapping[str, int]]) -> str:
    """The page; `counts` are the resources of each stack by substrate. The same preview gives the same bytes."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    title = f"Preview {preview.environment} at {preview.commits.shown}"
    body = [preview_failed(preview)] if preview.failure else list(_body(preview, counts))
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body><main>",
            *_top(preview, title),
            *body,
            f'<h2>Compared</h2><p class="soft">{_base(preview)}</p>',
            *_fingerprint(preview),
            f"</main><script>{_SCRIPT}</script></body></html>",
            "",
        ]
    )


def _fingerprint(preview: Preview) -> Iterator[str]:
    if preview.fingerprint:
        yield f"<p class=soft>Plan fingerprint <code>{_text(preview.fingerprint)}</code></p>"


def preview_failed(preview: Preview) -> str:
    """What is said in place of everything else."""
    said = f"<code>{_text(preview.failure)}</code>"
    return f"<p>The preview could not be made, nothing is known of this change:</p><p>{said}</p>"


def _top(preview: Preview, title: str) -> Iterator[str]:
    risky = {0: "go", 2: "care"}.get(preview.exit_code, "stop")
    when = preview.commits.time.strftime("%Y-%m-%d %H:%M UTC")
    yield f'<h1>{_text(title)}</h1><p class="soft">{when}</p><p class="verdict {risky}">{_text(preview.verdict)}</p>'


def _body(preview: Preview, counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    totals = preview.totals()
    chips = "".join(f'<span class="chip"><b>{totals[op]:,}</b>{op}</span>' for op in OPS)
    yield f'<div class="chips">{chips}</div>'
    yield from (f'<p class="soft">{_text(note)}</p>' for note in preview.notes)
    yield f'<h2>Stacks</h2><div class="wide">{_graph(preview, counts)}</div>'
    told = [stack for stack in preview.stacks if stack.reasons]
    if told:
        rows = [[f"<code>{_text(one.stack)}</code>", _text("; ".join(one.reasons))] for one in told]
        yield _folded("Why these stacks were looked at", _table(["stack", "why"], rows))
    said = "Filter risks and changes"
    yield f'<input id="f" type="search" placeholder="{said}" aria-label="{said}" hidden>'
    yield from _risks(preview)
    yield from _money(preview.money)
    yield from _live(preview)
    if preview.changed:
        yield "<h2>Changes</h2>"
        yield from (_stack(stack) for stack in preview.changed)


def _graph(preview: Preview, counts: Mapping[str, Mapping[str, int]]) -> str:
    found = {stack.stack: stack for stack in preview.stacks}
    boxes = [
        Box(
            name=name,
            needs=tuple(need for need in needs if need in preview.needs),
            counts=counts.get(name, {}),
            marked=name in found and bool(found[name].changes),
            note=_note(found[name]) if name in found else "",
        )
        for name, needs in sorted(preview.needs.items())
    ]
    return diagram(boxes, title=f"Stacks of {preview.environment}: changed ones stand out", dark=True)


def _note(stack: StackChanges) -> str:
    return " ".join(f"{SIGNS[op]}{count}" for op, count in stack.counts().items() if op in SIGNS and count)


def _risks(preview: Preview) -> Iterator[str]:
    if not preview.risks:
        return
    rows = [
        [
            f'<b class="stop">{risk.kind}</b>',
            f"{_text(risk.stack)} {_kind(risk.type)} <code>{_text(risk.name)}</code>",
            _text(risk.why),
            _text(" + ".join([*risk.teams, *(["typed confirmation"] if risk.confirm else [])]) or "-"),
        ]
        for risk in preview.risks
    ]
    yield f"<h2>Risks</h2>{_table(['risk', 'resource', 'why', 'needs'], rows)}"
    signs = [
        [_text(one.team), f"{one.risks:,}", ", ".join(one.kinds), f"{one.confirm:,}" if one.confirm else ""]
        for one in preview.sign_off()
    ]
    if signs:
        yield "<h2>Sign-off</h2><p class=soft>Every team of these, for this commit.</p>"
        yield _table(["team", "risks", "kinds", "to confirm"], signs)


def _money(money: Money | None) -> Iterator[str]:
    if money is None or not (money.lines or money.not_priced):
        return
    rows = [
        [_text(line.stack), _text(line.service), _usd(line.base), _usd(line.head), f"{cents(line.difference):+,.2f}"]
        for line in money.lines
    ]
    rows.append(["<b>all</b>", "", _usd(money.base), f"<b>{_usd(money.head)}</b>", f"{cents(money.difference):+,.2f}"])
    heads = ["stack", "service", "before", "after", "difference"]
    yield f"<h2>Cost a month, US dollars</h2><p class=soft>An estimate: {_text(money.origin)}.</p>"
    yield _table(heads, rows, numbers=2)
    for one in money.budgets:
        tone = "stop" if one.over else "soft"
        yield f'<p class="{tone}">Budget of {_text(one.service)}: {_usd(one.head)} of {_usd(one.allowed)}</p>'
    if money.not_priced:
        entries = "".join(f"<li>{_text(sentence)}</li>" for sentence in money.not_priced)
        yield f"<p>Not priced, and not counted as zero:</p><ul>{entries}</ul>"


def _live(preview: Preview) -> Iterator[str]:
    live = preview.live
    yield "<h2>Live state</h2>"
    if not live.compared:
        yield f"<p class=soft>Program against program, not compared with the live state: {_text(live.why)}</p>"
        return
    yield f"<p>{live.agreed:,} changes agree with the live state, {len(live.rows):,} do not.</p>"
    rows = [
        [
            _text(row.said),
            _text(row.stack),
            f"{_kind(row.type)} <code>{_text(row.name)}</code>",
            _text(", ".join(row.properties)),
        ]
        for row in live.rows
    ]
    if rows:
        yield _table(["", "stack", "resource", "properties"], rows)


def _stack(stack: StackChanges) -> str:
    counts = " · ".join(f"{op} {count:,}" for op, count in stack.counts().items() if count)
    entries = "".join(map(_change, gravest_first(stack)))
    return _folded(f"<b>{_text(stack.stack)}</b> <span class=soft>{counts}</span>", entries)


def _folded(head: str, inside: str) -> str:
    return f"<details><summary>{head}</summary><div>{inside}</div></details>"


def _change(change: Change) -> str:
    more = " (may turn out as a replacement)" if change.may_replace and change.op == "update" else ""
    more += " (the old one is deleted first)" if change.deletes_first and change.op == "replace" else ""
    tone = {"delete": "stop", "replace": "care"}.get(change.op, "")
    shown = change.properties if change.op in ("update", "replace") else ()
    entries = "".join(map(_property, shown))
    head = f'<span class="{tone}">{SIGNS[change.op]} {change.op}</span> {_kind(change.type)}'
    head += f" <code>{_text(change.name)}</code>{more}"
    return f'<div class="change" data-row>{head}{f"<ul>{entries}</ul>" if entries else ""}</div>'


def _property(one: PropertyChange) -> str:
    forces = {True: " <b>forces replacement</b>", None: " (may force replacement)", False: ""}[one.replaces]
    return f"<li><code>{_text(one.path)}</code>: {_value(one.before)} → {_value(one.after)}{forces}</li>"


def _kind(type_: str) -> str:
    return _text(short(type_))


def _value(found: object) -> str:
    if isinstance(found, str) and found in WORDS:
        return WORDS[found]
    return f"<code>{_text(cut(value(found), 600))}</code>"


def _base(preview: Preview) -> str:
    commits = preview.commits
    return f"Base: {_text(commits.base[:10])} {_text(commits.how)}. Head: {_text(commits.shown)}."


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: int = 99) -> str:
    def row(cells: Iterable[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=number' if place >= numbers else ''}>{cell}</{tag}>" for place, cell in enumerate(cells)
        )

    whole = "".join(f"<tr data-row>{row(cells, 'td')}</tr>" for cells in rows)
    return f'<div class="wide"><table><thead><tr>{row(heads, "th")}</tr></thead><tbody>{whole}</tbody></table></div>'


def _usd(amount: float) -> str:
    return f"{amount:,.2f}"


def _text(text: str) -> str:
    return escape(visible(text))
