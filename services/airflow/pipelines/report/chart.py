"""The report's chart: weekly revenue as a PNG, drawn without a browser and without global state."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from pipelines.report.data import Report

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
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
