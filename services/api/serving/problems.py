"""How errors are told: problem+json (RFC 9457), whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Problem(BaseModel):
    """What went wrong; `errors` names the places, where there are any."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    status: int = Field(examples=[422])
    title: str = Field(examples=["Unprocessable Content"])
    detail: str = Field(examples=["occurred_at: Field required"])
    errors: list[dict[str, str]] = Field(default=[], examples=[[{"where": "occurred_at", "why": "Field required"}]])


class ProblemError(Exception):
    """A request that is refused with this problem."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


def problem(
    status: int, detail: str = "", *, headers: Mapping[str, str] | None = None, title: str = "", **more: Any
) -> JSONResponse:
    """An error as problem+json; `more` are members of its own."""
    said = title or _TITLES.get(status, "Error")
    body = {"type": "about:blank", "status": status, "title": said, "detail": detail, **more}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def places(errors: list[Any]) -> list[dict[str, str]]:
    """Where something is wrong and why, of what pydantic found."""
    return [
        {"where": ".".join(str(part) for part in error["loc"]), "why": error["msg"]} for error in errors[:_MOST_ERRORS]
    ]


def sentence(errors: list[dict[str, str]]) -> str:
    """The first of them, and how many more there are."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first['where']}: {first['why']}{more}" if first["where"] else f"{first['why']}{more}"


def told_as_problems(app: FastAPI) -> None:
    """Answer every error of the application with a problem."""

    async def refused(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, HTTPException)
        return problem(error.status_code, str(error.detail), headers=error.headers)

    async def asked_wrongly(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, ProblemError)
        return problem(error.status, error.detail, **error.more)

    async def invalid(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, RequestValidationError)
        found = places(list(error.errors()))
        return problem(422, sentence(found), errors=found)

    async def unstorable(request: Request, error: Exception) -> Response:
        del request, error
        return problem(422, "The database cannot store or compare a value in it.")

    async def unavailable(request: Request, error: Exception) -> Response:
        del request, error
        return problem(503, "The database does not answer; try again.", headers={"Retry-After": "2"})

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(ProblemError, asked_wrongly)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(psycopg.DataError, unstorable)
    app.add_exception_handler(psycopg.Error, unavailable)
    app.add_exception_handler(PoolTimeout, unavailable)
