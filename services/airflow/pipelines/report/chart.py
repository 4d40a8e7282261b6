"""The report's pictures as PNG, drawn without a browser and without global state: weekly revenue, and cohorts."""

from __future__ import annotations

import io
import math

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from leandata.serving import CohortMonth
from pipelines.report.data import Report

_MOST = 12
_QUIET, _LOUD, _INK, _PAPER = "#9db7d5", "#1f5fa8", "#333333", "#ffffff"


def draw(report: Report) -> bytes:
    """Bars of weekly revenue in US dollars, the report's week marked. The same report gives the same bytes.

    The paper is opaque, so that ink stays readable where a mail client turns its page dark.
    """
    figure = Figure(figsize=(7.2, 2.8), dpi=144, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    weeks = [week for week, _ in report.history]
    colors = [_LOUD if week == report.week else _QUIET for week in weeks]
    axes.bar(range(len(weeks)), [float(revenue) for _, revenue in report.history], color=colors, width=0.8)
    step = max(1, len(weeks) // 6)
    ticks = list(range(len(weeks) - 1, -1, -step))
    axes.set_xticks(ticks, [weeks[tick].label for tick in ticks], fontsize=8, color=_INK)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:,.0f}"))
    axes.tick_params(axis="y", labelsize=8, labelcolor=_INK, length=0)
    axes.set_title("Revenue a week", fontsize=10, color=_INK, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    return _png(figure)


def draw_cohorts(report: Report) -> bytes:
    """For each cohort (month of the first order) the share of it, in percent, that ordered in each month since.

    The same report gives the same bytes. Only the last twelve months since and the last twelve cohorts are drawn. A
    month that is not over has a dashed frame and an asterisk.
    """
    cohorts = sorted({one.cohort for one in report.cohorts})[-_MOST:]
    months = range(1, min(_MOST, max((one.month for one in report.cohorts), default=0)) + 1)
    shares = {(one.cohort, one.month): 100 * one.customers / one.cohort_customers for one in report.cohorts}
    open_months = {(one.cohort, one.month) for one in unfinished(report)}
    grid = [[shares.get((cohort, month), math.nan) for month in months] for cohort in cohorts]
    figure = Figure(figsize=(7.2, 1.1 + 0.34 * len(cohorts)), dpi=144, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    highest = max((share for row in grid for share in row if not math.isnan(share)), default=1.0) or 1.0
    axes.imshow(grid, aspect="auto", cmap="Blues", vmin=0, vmax=highest)
    for row, line in enumerate(grid):
        for column, share in enumerate(line):
            if not math.isnan(share):
                ink = _PAPER if share > highest * 0.6 else _INK
                mark = "*" if (cohorts[row], months[column]) in open_months else ""
                axes.text(column, row, f"{share:.0f}%{mark}", ha="center", va="center", fontsize=7, color=ink)
                if mark:
                    axes.add_patch(_frame(column, row, ink))
    axes.set_xticks(range(len(months)), [f"+{month}" for month in months], fontsize=8, color=_INK)
    axes.set_yticks(range(len(cohorts)), [f"{cohort:%b %Y}" for cohort in cohorts], fontsize=8, color=_INK)
    axes.set_title(
        "Of the customers of each month, who ordered again so many months later", fontsize=10, color=_INK, loc="left"
    )
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return _png(figure)


def unfinished(report: Report) -> list[CohortMonth]:
    """The months of the cohorts' picture that are not over."""
    drawn = sorted({one.cohort for one in report.cohorts})[-_MOST:]
    return [one for one in report.cohorts if one.cohort in drawn and 1 <= one.month <= _MOST and report.unfinished(one)]


def _frame(column: int, row: int, ink: str) -> Rectangle:
    return Rectangle((column - 0.45, row - 0.43), 0.9, 0.86, fill=False, edgecolor=ink, linewidth=0.8, linestyle="--")


def _png(figure: Figure) -> bytes:
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
