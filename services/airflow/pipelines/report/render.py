"""The report as a mail: HTML, text, pictures."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from pipelines.report.chart import draw, draw_cohorts, unfinished
from pipelines.report.data import Figure, Report, change_shown, shown, year_change_shown
from pipelines.report.parts import parts

CHART, COHORTS = "revenue-by-week", "cohorts"


def subject(report: Report, *, update: bool = False) -> str:
    """Such as "Sales of week 2026-W47: $12,345.67 (+3.2%)"; a correction says so."""
    revenue = report.figures[0]
    said = f"Sales of week {report.week.label}: {shown(revenue, revenue.now)} ({change_shown(revenue)})"
    return f"{said} - corrected" if update else said


def html(report: Report, *, link: str, inline: bool = False, update: bool = False) -> str:
    """The HTML part; with `inline` the pictures stand in the text, for a browser rather than a mail client."""
    places = {name: f"cid:{name}" for name in (CHART, COHORTS)}
    if inline:
        drawn = images(report).items()
        places |= {name: f"data:image/png;base64,{base64.b64encode(image).decode()}" for name, image in drawn}
    return _render("report.html", report, link=link, places=places, update=update)


def text(report: Report, *, link: str, update: bool = False) -> str:
    """The text part."""
    return _render("report.txt", report, link=link, places={}, update=update)


def images(report: Report) -> dict[str, bytes]:
    """The inline images by content id: those of the parts that are shown and have something to show."""
    found: dict[str, bytes] = {}
    if report.history and "chart" in parts().parts:
        found[CHART] = draw(report)
    if report.cohorts and "cohorts" in parts().parts:
        found[COHORTS] = draw_cohorts(report)
    return found


def compared(report: Report, other: Report) -> str:
    """The figures of two weeks side by side, as text."""
    row = "{:<19} {:>14} {:>14} {:>10}"
    lines = [row.format("", report.week.label, other.week.label, "change")]
    for one, two in zip(report.figures, other.figures, strict=True):
        both = Figure(label=one.label, now=one.now, before=two.now, money=one.money)
        lines.append(row.format(one.label, shown(one, one.now), shown(two, two.now), change_shown(both)))
    said = [f"{found.week.label}: {found.unusual}" for found in (report, other)]
    return "\n".join([*lines, "", *said, ""])


def _render(name: str, report: Report, *, link: str, places: Mapping[str, str], update: bool) -> str:
    template = _templates().get_template(name)
    return template.render(
        report=report,
        parts=parts().parts,
        link=link,
        chart=places.get(CHART, ""),
        cohorts=places.get(COHORTS, ""),
        unfinished=unfinished(report),
        update=update,
        shown=shown,
        change=change_shown,
        year_change=year_change_shown,
        subject=subject(report, update=update),
    )


@functools.cache
def _templates() -> Environment:
    loader = PackageLoader("pipelines.report")
    return Environment(
        loader=loader,
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
