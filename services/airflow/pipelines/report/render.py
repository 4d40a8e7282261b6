"""The report as a mail: HTML, text, chart."""

from __future__ import annotations

import base64
import functools

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from pipelines.report.chart import draw
from pipelines.report.data import Report, change_shown, shown

CHART = "revenue-by-week"


def subject(report: Report) -> str:
    """Such as "Sales of week 2026-W47: $12,345.67 (+3.2%)"."""
    revenue = report.figures[0]
    return f"Sales of week {report.week.label}: {shown(revenue, revenue.now)} ({change_shown(revenue)})"


def html(report: Report, *, link: str, inline: bool = False) -> str:
    """The HTML part; with `inline` the chart stands in the text, for a browser rather than a mail client."""
    chart = f"cid:{CHART}"
    if inline:
        chart = f"data:image/png;base64,{base64.b64encode(draw(report)).decode()}"
    return _render("report.html", report, link=link, chart=chart)


def text(report: Report, *, link: str) -> str:
    """The text part."""
    return _render("report.txt", report, link=link, chart="")


def images(report: Report) -> dict[str, bytes]:
    """The inline images by content id."""
    return {CHART: draw(report)}


def _render(name: str, report: Report, *, link: str, chart: str) -> str:
    template = _templates().get_template(name)
    return template.render(
        report=report, link=link, chart=chart, shown=shown, change=change_shown, subject=subject(report)
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
