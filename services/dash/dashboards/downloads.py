"""What a page shows, as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Flask, Response, request

from dashboards.formats import to_csv
from dashboards.page import Context, Page


def serve(server: Flask, pages: Sequence[Page], context: Callable[[Page, str], Context]) -> None:
    """Serve /download/PAGE/TABLE.csv with the choices of its address: exactly what the page shows then."""
    known = {page.path.removeprefix("/"): page for page in pages}

    @server.get("/download/<name>/<table>.csv")
    def download(name: str, table: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        page = known.get(name)
        if page is None or table not in page.tables:
            return _said("There is no such table.", 404)
        asked = context(page, request.query_string.decode("utf-8", "replace"))
        if table in page.for_editors and asked.role != "editor":
            return _said("Only editors may download this: it names single customers.", 403)
        try:
            text = to_csv(page.tables[table](asked))
        except Exception:  # noqa: BLE001 - as on the page itself
            return _said("No figures now: the serving database does not answer. Try again in a moment.", 503)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}-{table}-{asked.today}.csv"',
            "Cache-Control": "no-store",
        }
        return Response(text, mimetype="text/csv", headers=headers)


def _said(text: str, status: int) -> Response:
    return Response(text, status=status, mimetype="text/plain")
