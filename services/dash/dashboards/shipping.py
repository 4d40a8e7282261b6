"""How files reach the browser: compressed, and kept there for as long as their names stay."""

from __future__ import annotations

import gzip

from flask import Flask, Response, request

_SMALLEST = 1_000
_KINDS = ("text/", "application/json", "application/javascript")
_FOR_EVER = "public, max-age=31536000, immutable"
_NAMED_BY_CONTENT = "/_dash-component-suites/"
_LEVEL_ONCE, _LEVEL_EACH = 9, 5


def compress(server: Flask) -> None:
    """Compress what is text, once where its name changes with its content; such files never have to be asked for
    again."""
    kept: dict[str, bytes] = {}

    @server.after_request
    def ship(response: Response) -> Response:  # pyright: ignore[reportUnusedFunction]
        lasting = response.status_code == 200 and (
            request.path.startswith(_NAMED_BY_CONTENT) or (request.path.startswith("/assets/") and "m" in request.args)
        )
        if request.path.startswith("/assets/") and lasting:
            response.headers["Cache-Control"] = _FOR_EVER
        if not _worthwhile(response):
            return response
        response.direct_passthrough = False
        key = f"{request.path}?{request.args.get('m', '')}"
        data = kept.get(key) if lasting else None
        if data is None:
            data = gzip.compress(response.get_data(), _LEVEL_ONCE if lasting else _LEVEL_EACH, mtime=0)
            if lasting:
                kept[key] = data
        if callable(close := getattr(response.response, "close", None)):
            close()
        response.set_data(data)
        response.headers["Content-Encoding"] = "gzip"
        response.headers.pop("ETag", None)
        response.vary.add("Accept-Encoding")
        return response


def _worthwhile(response: Response) -> bool:
    return (
        response.status_code == 200
        and request.method in ("GET", "POST")
        and "gzip" in request.accept_encodings
        and "Content-Encoding" not in response.headers
        and (response.mimetype or "").startswith(_KINDS)
        and (response.content_length or _SMALLEST) >= _SMALLEST
    )
