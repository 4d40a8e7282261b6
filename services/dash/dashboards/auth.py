"""Login: one user, a signed session, and patience with wrong passwords."""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Flask, Response, redirect, render_template_string, request, session

USER = "analyst"
_FREE_TRIES = 5
_LONGEST_WAIT_SECONDS = 30.0
_OPEN = frozenset({"/healthz", "/login", "/logout"})
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>leandata: log in</title><link rel="stylesheet" href="/assets/style.css">
<body><main class="login"><h1>leandata</h1>
{% if problem %}<p class="problem" role="alert">{{ problem }}</p>{% endif %}
<form method="post"><input type="hidden" name="token" value="{{ token }}">
<label>User <input id="user" name="user" autocomplete="username" autofocus required></label>
<label>Password <input id="password" name="password" type="password" autocomplete="current-password" required></label>
<button id="login" type="submit">Log in</button></form></main></body></html>"""


@dataclass(slots=True)
class Patience:
    """After five wrong passwords each further one makes everybody wait longer, up to half a minute."""

    wrong: int = 0
    open_at: float = field(default=0.0)

    def wait(self, now: float) -> float:
        """Seconds until the next try."""
        return max(0.0, self.open_at - now)

    def failed(self, now: float) -> None:
        """Note a wrong password."""
        self.wrong += 1
        if self.wrong >= _FREE_TRIES:
            self.open_at = now + min(_LONGEST_WAIT_SECONDS, 2.0 ** (self.wrong - _FREE_TRIES))

    def succeeded(self) -> None:
        """Forget wrong passwords."""
        self.wrong, self.open_at = 0, 0.0


def protect(server: Flask, *, password: str, session_key: str) -> None:
    """Let nobody in without a session, but to the login, its style and the health check."""
    server.secret_key = session_key
    server.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_NAME="leandata_session",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
    )
    patience = Patience()

    @server.before_request
    def demand_session() -> Any:  # pyright: ignore[reportUnusedFunction]
        if request.path in _OPEN or request.path.startswith("/assets/") or session.get("user") == USER:
            return None
        if request.path.startswith("/_dash"):
            return Response("log in first", status=401)
        return redirect("/login")

    @server.after_request
    def harden(response: Response) -> Response:  # pyright: ignore[reportUnusedFunction]
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    @server.get("/healthz")
    def healthz() -> str:  # pyright: ignore[reportUnusedFunction]
        return "ok"

    @server.get("/login")
    def show_login() -> str:  # pyright: ignore[reportUnusedFunction]
        return _form("")

    @server.post("/login")
    def login() -> Any:  # pyright: ignore[reportUnusedFunction]
        return _attempt(patience, password=password)

    @server.get("/logout")
    def logout() -> Any:  # pyright: ignore[reportUnusedFunction]
        session.clear()
        return redirect("/login")


def _attempt(patience: Patience, *, password: str) -> Any:
    """Let the user in, or say why not."""
    now = time.monotonic()
    if patience.wait(now) > 0:
        return _form(f"Too many wrong passwords: try again in {patience.wait(now):.0f} seconds."), 429
    token = session.get("token", "")
    if not token or not hmac.compare_digest(token.encode(), request.form.get("token", "").encode()):
        return _form("This form was too old. Try again."), 400
    user, given = request.form.get("user", ""), request.form.get("password", "")
    if user == USER and hmac.compare_digest(given.encode(), password.encode()):
        patience.succeeded()
        session.clear()
        session["user"] = USER
        session.permanent = True
        return redirect("/")
    patience.failed(now)
    return _form("User or password is wrong."), 401


def _form(problem: str) -> str:
    # One token a session: a second page, or the browser's wish for an icon, must not spoil the first form.
    session.setdefault("token", secrets.token_urlsafe(24))
    return render_template_string(_PAGE, problem=problem, token=session["token"])
