"""What a reader sees of a page of the dashboards in Chromium: tiles, tables, charts, and every other text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

_READ = r"""
() => {
  const read = (place) => (place ? place.textContent.trim() : "");
  const inside = "table, .tile, .js-plotly-plot, script, style";
  const seen = { tiles: {}, tables: {}, charts: {}, texts: [] };
  document.querySelectorAll(".tile").forEach((tile) => {
    const value = tile.querySelector("strong");
    seen.tiles[value.id || read(tile)] = { value: read(value), change: read(tile.querySelector(".change")) };
  });
  document.querySelectorAll("table").forEach((table) => {
    const cells = (row) => [...row.cells].map(read);
    const [head, ...rows] = [...table.rows].map(cells);
    const titles = [...table.querySelectorAll("[title]")].map((one) => one.title);
    seen.tables[table.id] = { head, rows, ...(titles.length ? { titles } : {}) };
  });
  const look = new Set(["type", "marker", "line", "mode", "orientation", "hovertemplate", "uid"]);
  document.querySelectorAll(".js-plotly-plot").forEach((plot) => {
    const told = (trace) => Object.fromEntries(Object.entries(trace).filter(([name]) => !look.has(name)));
    const { annotations, shapes, xaxis = {}, yaxis = {} } = plot.layout;
    const ticks = [xaxis.tickvals, xaxis.ticktext, yaxis.tickvals, yaxis.ticktext, annotations, shapes];
    const traces = JSON.parse(JSON.stringify(plot.data)).map(told);
    seen.charts[plot.closest(".dash-graph").id] = {
      traces: Object.fromEntries(traces.map(({ name = "", ...rest }) => [name, rest])),
      ticks: JSON.parse(JSON.stringify(ticks.filter((one) => one !== undefined))),
    };
  });
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.parentElement.closest(inside)) seen.texts.push(text.data);
  }
  document.querySelectorAll("body *").forEach((one) => {
    if (one.closest(inside)) return;
    for (const name of ["title", "alt", "aria-label", "placeholder"])
      if (one.hasAttribute(name)) seen.texts.push(one.getAttribute(name));
    if (one.matches("input")) seen.texts.push(one.value);
  });
  return seen;
}
"""
_SETTLED = """
() => {
  const plots = [...document.querySelectorAll(".dash-graph")];
  const tables = [...document.querySelectorAll("[data-table]")];
  return !document.querySelector("[aria-busy=true], [data-dash-is-loading=true]")
    && plots.every((one) => one.querySelector(".js-plotly-plot .main-svg"))
    && tables.every((one) => one.querySelector("table"));
}
"""


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_function(_SETTLED)


def seen(page: Page) -> dict[str, Any]:
    """All that the page shows, once it is drawn: tiles by id, tables by id, charts by id, and texts beside them."""
    settle(page)
    return page.evaluate(_READ)


def go(page: Page, address: str) -> None:
    """Open the address in the page, and wait until its own figures are there."""
    page.goto(address)
    page.wait_for_selector("main h1")
