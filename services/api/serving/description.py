"""What the API says of itself: FastAPI's description, with what it cannot know of headers, errors and events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from serving import events
from serving.problems import MEDIA_TYPE

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_TAG = {"description": "Another one as soon as something else is published", "schema": _TEXT}
_AGE = {"description": "How many seconds ago the answer was known to be right", "schema": _COUNT}
_IF_NONE_MATCH = {
    "name": "If-None-Match", "in": "header", "required": False, "schema": _TEXT,
    "description": "Tags of answers that are known: when one of them is still right, 304 says so",
}  # fmt: skip
_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "401": {"WWW-Authenticate": {"description": "How to show who asks", "schema": _TEXT}},
    "429": {"Retry-After": {"description": "Seconds to wait", "schema": _COUNT}},
    "503": {"Retry-After": {"description": "Seconds to wait", "schema": _COUNT}},
}
_FILES = "export"


def describe(app: FastAPI) -> None:
    """Let the application say all of it of itself."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        return app.openapi_schema or completed(plain())

    app.openapi = openapi


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's description with schemas of events, where the key goes, tags of answers, and errors as problems."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(events.schemas())
    components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    document["security"] = [{"key": []}]
    for operation in _operations(document):
        for parameter in operation.get("parameters", []):
            _without_null(parameter)
        answers = operation["responses"]
        for status in sorted(set(answers) & set(_HEADERS)):
            answers[status]["headers"] = _HEADERS[status]
        if "304" in answers:
            _tagged(operation)
        for status, answer in answers.items():
            if status[0] in "45":
                _as_problem(answer)
    return document


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _without_null(parameter: dict[str, Any]) -> None:
    """Say of a parameter that may be left out just this: the text `null` in its place means nothing."""
    schema = parameter["schema"]
    kinds = [one for one in schema.pop("anyOf", []) if one.get("type") != "null"]
    if kinds:
        (kind,) = kinds
        parameter["schema"] = {**kind, **schema}


def _tagged(operation: dict[str, Any]) -> None:
    """Say that answers have a tag, and who knows one may send it. A file is of one publication and has no age."""
    headers = {"ETag": _TAG} if _FILES in operation["operationId"] else {"Age": _AGE, "ETag": _TAG}
    for status in ("200", "304"):
        operation["responses"][status]["headers"] = headers
    operation.setdefault("parameters", []).append(_IF_NONE_MATCH)


def _as_problem(answer: dict[str, Any]) -> None:
    """Say of an error that it is told as a problem: FastAPI takes it for JSON like any other."""
    content = answer.get("content", {})
    if "application/json" in content:
        content[MEDIA_TYPE] = content.pop("application/json")
