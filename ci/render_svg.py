"""A diagram of stacks as SVG: layered left to right, each after those it needs, with its resources per substrate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 190, 66
_ACROSS, _DOWN = 96, 30
_BEND = 2
_MARGIN, _TITLE, _LEGEND = 28, 56, 40
_COLOURS = {"kubernetes": "#326ce5", "aws": "#d97706", "snowflake": "#0e9bb8", "machine": "#64748b"}
_STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1e293b}"
    ".title{font-size:18px;font-weight:600}.name{font-size:14px;font-weight:600}"
    ".count{font-size:11px;fill:#fff;font-weight:600}.legend{font-size:12px;fill:#475569}"
    ".box{fill:#fff;stroke:#cbd5e1;stroke-width:1.2}.edge{fill:none;stroke:#94a3b8;stroke-width:1.4}"
    ".box.marked{fill:#fffbeb;stroke:#d97706;stroke-width:2}.note{font-size:12px;font-weight:600}.ground{fill:#f8fafc}"
)
_ARROW = (
    '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#94a3b8"/></marker></defs>'
)


_DARK = (
    "@media (prefers-color-scheme:dark){text{fill:#e2e8f0}.legend{fill:#94a3b8}.ground{fill:#0f172a}"
    ".box{fill:#1e293b;stroke:#475569}.edge{stroke:#64748b}.box.marked{fill:#422006;stroke:#f59e0b}}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A stack in the diagram: the stacks it needs, and its resources by substrate.

    A `marked` one stands out, and a short `note` is written beside its name.
    """

    name: str
    needs: tuple[str, ...]
    counts: Mapping[str, int]
    marked: bool = False
    note: str = ""


def depths(boxes: Sequence[Box]) -> dict[str, int]:
    """The column of each stack: one after the last that it needs. Raises ValueError for a circle."""
    needs = {box.name: box.needs for box in boxes}
    found: dict[str, int] = {}
    while len(found) < len(needs):
        free = [name for name in needs if name not in found and all(need in found for need in needs[name])]
        if not free:
            raise ValueError("the stacks need each other in a circle")
        found |= {name: 1 + max((found[need] for need in needs[name]), default=-1) for name in free}
    return found


def direct(boxes: Sequence[Box]) -> list[tuple[str, str]]:
    """The needs that no other need implies, as (needed, needing), sorted: the lines that are drawn."""
    needs = {box.name: set(box.needs) for box in boxes}

    def reach(name: str) -> set[str]:
        return needs[name].union(*(reach(need) for need in needs[name]))

    return sorted(
        (need, name)
        for name, found in needs.items()
        for need in found
        if not any(need in reach(other) for other in found if other != need)
    )


def lines(boxes: Sequence[Box]) -> dict[tuple[str, str], list[str]]:
    """The way of each drawn line: its start, a bend named `start>end@column` in every column it passes, its end."""
    depth = depths(boxes)
    return {
        (start, end): [start, *(f"{start}>{end}@{column}" for column in range(depth[start] + 1, depth[end])), end]
        for start, end in direct(boxes)
    }


def columns(boxes: Sequence[Box]) -> list[list[str]]:
    """Stacks and bends by column, each near the mean place of what leads to it, so that few lines cross; then by name.

    No line passes behind a stack, for a bend has a place of its own.
    """
    depth = depths(boxes)
    before: dict[str, list[str]] = {name: [] for name in depth}
    for way in lines(boxes).values():
        for start, end in pairwise(way):
            before.setdefault(end, []).append(start)
            depth.setdefault(end, int(end.rpartition("@")[2]) if "@" in end else 0)
    found: list[list[str]] = []
    row: dict[str, float] = {}
    for level in range(1 + max(depth.values(), default=-1)):
        names = [name for name in sorted(depth) if depth[name] == level]
        names.sort(key=lambda name: (_mean([row[other] for other in before[name]]), name))
        row |= {name: place - (len(names) - 1) / 2 for place, name in enumerate(names)}
        found.append(names)
    return found


def diagram(boxes: Sequence[Box], *, title: str, dark: bool = False) -> str:
    """The SVG; with `dark` it follows a reader's dark colours."""
    layout = columns(boxes)
    inner = max((_tall(names) for names in layout), default=_HEIGHT)
    width = max(2 * _MARGIN + len(layout) * (_WIDTH + _ACROSS) - _ACROSS, 640)
    height = _TITLE + inner + _LEGEND + _MARGIN
    places: dict[str, tuple[int, int]] = {}
    for column, names in enumerate(layout):
        y = _TITLE + (inner - _tall(names)) // 2
        for name in names:
            places[name] = (_MARGIN + column * (_WIDTH + _ACROSS), y + _size(name) // 2)
            y += _size(name) + _DOWN
    total = sum(sum(box.counts.values()) for box in boxes)
    return "\n".join(
        [
            _opening(width, height, title=title),
            f"<style>{_STYLE}{_DARK if dark else ''}</style>",
            _ARROW,
            f'<rect class="ground" width="{width}" height="{height}"/>',
            f'<text class="title" x="{_MARGIN}" y="36">{escape(title)}</text>',
            *(_line([places[name] for name in way]) for _, way in sorted(lines(boxes).items())),
            *(_box(box, *places[box.name]) for box in sorted(boxes, key=lambda box: box.name)),
            _legend(boxes, y=height - _MARGIN, total=total),
            "</svg>",
            "",
        ]
    )


def _size(name: str) -> int:
    return _BEND if "@" in name else _HEIGHT


def _tall(names: Sequence[str]) -> int:
    return sum(_size(name) + _DOWN for name in names) - _DOWN


def _opening(width: int, height: int, *, title: str) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _line(way: Sequence[tuple[int, int]]) -> str:
    """A line through the middles of `way`: curved between columns, straight along them."""
    path = [f"M{way[0][0] + _WIDTH} {way[0][1]}"]
    for place, ((x1, y1), (x2, y2)) in enumerate(pairwise(way)):
        left, last = x1 + _WIDTH, place == len(way) - 2
        right = x2 - 1 if last else x2
        middle = (left + right) // 2
        path.append(f"C{middle} {y1} {middle} {y2} {right} {y2}" + ("" if last else f"H{x2 + _WIDTH}"))
    return f'<path class="edge" marker-end="url(#end)" d="{"".join(path)}"/>'


def _box(box: Box, x: int, middle: int) -> str:
    y = middle - _HEIGHT // 2
    kind = "box marked" if box.marked else "box"
    parts = [
        f'<g><rect class="{kind}" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        f'<text class="name" x="{x + 14}" y="{y + 26}">{escape(box.name)}</text>',
    ]
    if box.note:
        right = x + _WIDTH - 12
        parts.append(f'<text class="note" text-anchor="end" x="{right}" y="{y + 51}">{escape(box.note)}</text>')
    left = x + 14
    for substrate, count in box.counts.items():
        wide = 14 + 7 * len(str(count))
        parts.append(
            f'<rect x="{left}" y="{y + 38}" width="{wide}" height="17" rx="8.5" fill="{_COLOURS[substrate]}"/>'
        )
        parts.append(f'<text class="count" x="{left + 7}" y="{y + 50}">{count}</text>')
        left += wide + 6
    return "".join([*parts, "</g>"])


def _legend(boxes: Sequence[Box], *, y: int, total: int) -> str:
    used = [name for name in _COLOURS if any(name in box.counts for box in boxes)]
    parts: list[str] = []
    left = _MARGIN
    for name in used:
        count = sum(box.counts.get(name, 0) for box in boxes)
        text = f"{name} {count}"
        parts.append(f'<rect x="{left}" y="{y - 10}" width="11" height="11" rx="3" fill="{_COLOURS[name]}"/>')
        parts.append(f'<text class="legend" x="{left + 17}" y="{y}">{escape(text)}</text>')
        left += 34 + 7 * len(text)
    parts.append(f'<text class="legend" x="{left + 6}" y="{y}">{total} resources in {len(boxes)} stacks</text>')
    return "".join(parts)
