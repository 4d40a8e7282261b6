"""Login: users with roles, a signed session that ends, and patience with wrong passwords."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask, Response, has_request_context, redirect, render_template_string, request, session
from flask.sessions import SecureCookieSessionInterface

from dashboards.frame import THEME
from dashboards.page import Role
from leandata.proxies import Network, visitor
from leandata.settings import Settings

USER, EDITOR = "analyst", "editor"
SESSION = timedelta(hours=12)
_BROWSER, _REMEMBERED = "leandata_browser", timedelta(days=90)
_FREE_TRIES, _FREE_TRIES_OF_ALL = 5, 50
_LONGEST_WAIT_SECONDS = 30.0
_ADDRESSES = 10_000
_OPEN = frozenset({"/healthz", "/login"})
_PAGE = (
    """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Log in · leandata</title>"""
    + THEME
    + """<link rel="stylesheet" href="/assets/style.css"></head>
<body><main class="login"><p class="brand">leandata</p><h1>Log in to the dashboards</h1>
{% if problem %}<p class="notice failed" role="alert">{{ problem }}</p>{% endif %}
<form method="post"><input type="hidden" name="token" value="{{ token }}">
<input type="hidden" name="next" value="{{ next }}"><label for="user">User</label>
<input id="user" name="user" autocomplete="username" autocapitalize="none" autofocus required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button id="login" type="submit">Log in</button></form></main></body></html>"""
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Who may log in: with which password, and what they may see then."""

    password: str = field(repr=False)
    role: Role


@dataclass(slots=True)
class Patience:
    """After `free` wrong passwords each further one makes for a longer wait, up to half a minute."""

    free: int = _FREE_TRIES
    wrong: int = 0
    open_at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next try."""
        return max(0.0, self.open_at - now)

    def failed(self, now: float) -> None:
        """Note a wrong password."""
        self.wrong += 1
        if self.wrong >= self.free:
            # The exponent is bounded before it is raised: a long attack must not overflow.
            self.open_at = now + min(_LONGEST_WAIT_SECONDS, 2.0 ** min(self.wrong - self.free, 10))

    def succeeded(self) -> None:
        """Forget wrong passwords."""
        self.wrong, self.open_at = 0, 0.0


@dataclass(slots=True)
class Door:
    """Patience with each address, and with all of them together: many addresses are no way around it.

    A browser that this user logged in with before has patience of its own, and no other: wrong passwords of strangers,
    who may share its address behind a load balancer, keep nobody out of their own pages. (OWASP, "Slow Down Online
    Guessing Attacks with Device Cookies".)
    """

    everybody: Patience = field(default_factory=lambda: Patience(free=_FREE_TRIES_OF_ALL))
    addresses: OrderedDict[str, Patience] = field(default_factory=OrderedDict[str, Patience])

    def wait(self, address: str, now: float, *, known: bool = False) -> float:
        """Seconds until the next try from there; `address` is a browser's own mark where it is `known`."""
        found = self.addresses.get(address)
        return max(0.0 if known else self.everybody.wait(now), found.wait(now) if found else 0.0)

    def failed(self, address: str, now: float, *, known: bool = False) -> None:
        """Note a wrong password from there; only so many addresses are remembered."""
        if not known:
            self.everybody.failed(now)
        self.addresses.setdefault(address, Patience()).failed(now)
        self.addresses.move_to_end(address)
        while len(self.addresses) > _ADDRESSES:
            self.addresses.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget wrong passwords from there; those of others still count."""
        self.addresses.pop(address, None)


class _Cookies(SecureCookieSessionInterface):
    """The session's cookie goes over https only, wherever the page came over https."""

    def get_cookie_secure(self, app: Flask) -> bool:
        del app
        return _over_https()


def accounts(settings: Settings) -> dict[str, Account]:
    """Who may log in by the settings. Raises SettingsError for a password that is missing."""
    return {
        USER: Account(password=settings.secret("DASH_PASSWORD_FILE"), role="viewer"),
        EDITOR: Account(password=settings.secret("DASH_EDITOR_PASSWORD_FILE"), role="editor"),
    }


def user() -> str:
    """Who asks, "" for a stranger and where nobody asks."""
    return session.get("user", "") if has_request_context() else ""


def role() -> Role:
    """What the one who asks may see."""
    return cast("Role", session.get("role", "viewer")) if has_request_context() else "viewer"


def protect(
    server: Flask, *, people: Mapping[str, Account], session_key: str, trusted: Sequence[Network] = (),
    now: Callable[[], float] = time.time,
) -> None:  # fmt: skip
    """Let nobody in without a session, but to the login, its style and the health check.

    Behind proxies, `trusted` are those whose X-Forwarded-For says which address a browser has.
    """
    server.secret_key = session_key
    server.session_interface = _Cookies()
    server.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_NAME="leandata_session",
        PERMANENT_SESSION_LIFETIME=SESSION,
        SESSION_REFRESH_EACH_REQUEST=False,
        MAX_CONTENT_LENGTH=1_000_000,
    )
    door = Door()

    @server.before_request
    def demand_session() -> Any:  # pyright: ignore[reportUnusedFunction]
        known = people.get(user())
        if request.path in _OPEN or request.path.startswith("/assets/"):
            return None
        if known and session.get("until", 0.0) > now() and hmac.compare_digest(session["seal"], _seal(known, server)):
            return None
        if request.path.startswith("/_dash"):
            return Response("log in first", status=401)
        return redirect("/login" if request.path == "/" else f"/login?{_next_query(request.full_path)}")

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
        return _form("", then=request.args.get("next", ""))

    @server.post("/login")
    def login() -> Any:  # pyright: ignore[reportUnusedFunction]
        peer = visitor(request.remote_addr or "", request.headers.getlist("X-Forwarded-For"), trusted=trusted)
        return _attempt(door, server, people=people, peer=peer, until=now() + SESSION.total_seconds())

    @server.post("/logout")
    def logout() -> Any:  # pyright: ignore[reportUnusedFunction]
        session.clear()
        return redirect("/login")


def _attempt(door: Door, server: Flask, *, people: Mapping[str, Account], peer: str, until: float) -> Any:
    """Let the user at the address `peer` in, or say why not."""
    moment, then = time.monotonic(), request.form.get("next", "")
    name, given = request.form.get("user", ""), request.form.get("password", "")
    known = people.get(name)
    mark = request.cookies.get(_BROWSER, "")
    before = known is not None and _is_mark(mark, name, known, server)
    address = mark if before else peer
    if (wait := door.wait(address, moment, known=before)) > 0:
        return _form(f"Too many wrong passwords: try again in {wait:.0f} seconds.", then=then), 429
    if not _from_our_form():
        return _form("This form was too old. Try again.", then=then), 400
    # An unknown user costs as much as a wrong password, so that names cannot be told apart by time.
    right = hmac.compare_digest(given.encode(), (known.password if known else secrets.token_urlsafe(16)).encode())
    if known is not None and right:
        door.succeeded(address)
        session.clear()
        session.update({"user": name, "role": known.role, "until": until, "seal": _seal(known, server)})
        session.permanent = True
        answer = redirect(local(then))
        if not before:
            _remember(answer, _mark(secrets.token_urlsafe(16), name, known, server))
        return answer
    door.failed(address, moment, known=before)
    return _form("User or password is wrong.", then=then), 401


def _mark(browser: str, name: str, account: Account, server: Flask) -> str:
    """What shows that this user logged in with a browser before; a new password makes another of it."""
    said = f"{browser}\0{name}\0{_seal(account, server)}".encode()
    return f"{browser}.{hmac.digest(str(server.secret_key).encode(), said, 'sha256').hex()}"


def _is_mark(mark: str, name: str, account: Account, server: Flask) -> bool:
    right = _mark(mark.partition(".")[0], name, account, server)
    return hmac.compare_digest(mark.encode(errors="replace"), right.encode(errors="replace"))


def _remember(answer: Any, mark: str) -> None:
    age = int(_REMEMBERED.total_seconds())
    answer.set_cookie(_BROWSER, mark, max_age=age, path="/login", secure=_over_https(), httponly=True, samesite="Lax")


def _over_https() -> bool:
    return request.is_secure or request.headers.get("X-Forwarded-Proto", "") == "https"


def _from_our_form() -> bool:
    """Whether the form has the session's token; or, where two pages were asked for at once and the other's session was
    kept, whether the browser says that it comes from here (a browser names the origin of every form that is sent)."""
    token = session.get("token", "")
    if token and hmac.compare_digest(token.encode(), request.form.get("token", "").encode()):
        return True
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host


def local(then: str) -> str:
    """Where to go after the login: a page of ours, never another site."""
    strange = not then.startswith("/") or then.startswith(("//", "/\\")) or not then.isprintable()
    return "/" if strange else then


def _seal(account: Account, server: Flask) -> str:
    """Binds a session to the password that opened it: a new password ends it."""
    return hmac.digest(str(server.secret_key).encode(), account.password.encode(), "sha256").hex()[:32]


def _next_query(path: str) -> str:
    from urllib.parse import urlencode

    return urlencode({"next": path.removesuffix("?")})


def _form(problem: str, *, then: str) -> str:
    # One token a session: a second page, or the browser's wish for an icon, must not spoil the first form.
    session.setdefault("token", secrets.token_urlsafe(24))
    return render_template_string(_PAGE, problem=problem, token=session["token"], next=local(then))
