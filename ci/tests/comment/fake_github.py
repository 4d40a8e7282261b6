"""A GitHub on this machine: requests, comments by pages, artifacts behind a redirection, labels, statuses, issues."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ci.comment.github import GitHub

NAME, ID, FORK = "leandata-example/leandata", 1, 2
TOKEN = "token-of-the-poster"
COMMIT, OLDER = "a" * 40, "b" * 40
BOT = "github-actions[bot]"


@dataclass
class Store:
    """What the fake holds. `seen` are calls (method, path, whether with the token); `writes` those that change."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    blobs: dict[int, bytes] = field(default_factory=dict)
    labels: dict[int, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    seen: list[tuple[str, str, bool]] = field(default_factory=list)
    base: str = ""
    next_host: str = ""

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.seen if method != "GET"]

    def request(self, number: int, *, commit: str = COMMIT, branch: str = "work", head: int = ID, **more: Any) -> None:
        self.requests.append(
            {
                "number": number,
                "user": {"login": "somebody"},
                "head": {"sha": commit, "ref": branch, "repo": {"id": head, "owner": {"login": _owner(head)}}},
                "base": {"repo": {"id": ID}},
                **more,
            }
        )

    def comment(self, number: int, text: str, *, by: str = BOT) -> int:
        made = len(self.comments) + 1
        self.comments[made] = {"id": made, "body": text, "user": {"login": by}, "on": number}
        return made

    def run(
        self, number: int, *, path: str = "pull-request", commit: str = COMMIT, head: int = ID, **more: Any
    ) -> None:
        whole = {
            "id": number,
            "path": f".github/workflows/{path}.yml",
            "event": "pull_request",
            "head_sha": commit,
            "head_repository": {"id": head},
            "status": "completed",
            "conclusion": "success",
        }
        self.runs.append({**whole, **more})

    def artifact(self, run: int, environment: str, data: bytes, **more: Any) -> None:
        number = len(self.blobs) + 1000
        self.blobs[number] = data
        found = {"id": number, "name": f"preview-{environment}", "expired": False, **more}
        self.artifacts.setdefault(run, []).append(found)

    def on(self, number: int) -> list[str]:
        """The comments of a request."""
        return [one["body"] for one in self.comments.values() if one["on"] == number]


def event(*, action: str = "completed", commit: str = COMMIT, head: int = ID, **more: Any) -> dict[str, Any]:
    """The event of a workflow's run, as GitHub writes it, with more keys than we read."""
    run = {
        "id": 7,
        "head_sha": commit,
        "head_branch": "work",
        "head_repository": {"id": head, "owner": {"login": _owner(head), "type": "User"}},
        "event": "pull_request",
        "path": ".github/workflows/pull-request.yml",
        "conclusion": "success",
        "pull_requests": [],
    }
    repository = {"id": ID, "full_name": NAME}
    return {"action": action, "repository": repository, "workflow_run": {**run, **more}, "sender": {}}


def _owner(head: int) -> str:
    return "leandata-example" if head == ID else "stranger"


@contextmanager
def github(store: Store) -> Generator[GitHub]:
    """Our client of a server that holds this."""

    class Handler(_Handler):
        held = store

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    store.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield GitHub(api=store.base, repository=NAME, token=TOKEN)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    held: Store

    def do_GET(self) -> None:
        self._seen()
        held, url = self.held, urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = url.path.removeprefix(f"/repos/{NAME}/")
        first, *rest = path.split("/")
        if path == "pulls":
            self._page([one for one in held.requests if _named(one) == query["head"]], query)
        elif path == "issues":
            self._page([one for one in held.issues.values() if one["state"] == "open"], query)
        elif first == "issues" and rest[1:] == ["comments"]:
            self._page([one for one in held.comments.values() if one["on"] == int(rest[0])], query)
        elif first == "issues" and rest[1:] == ["labels"]:
            self._page([{"name": name} for name in held.labels.get(int(rest[0]), [])], query)
        elif first == "actions":
            self._actions(rest, query)
        elif first == "commits":
            self._page(held.requests, query)
        elif first == "" and rest[0] == "blob":
            self._answer(200, held.blobs[int(rest[1])])
        elif first == "pulls":
            found = [{"filename": name} for name in held.files] if rest[1] == "files" else held.reviews
            self._page(found, query)
        else:
            self._answer(404, b"{}")

    def _actions(self, rest: list[str], query: dict[str, str]) -> None:
        held = self.held
        if rest == ["runs"]:
            runs = [one for one in held.runs if one["head_sha"] == query["head_sha"]]
            self._page(runs, query, inside="workflow_runs")
        elif rest[0] == "artifacts":
            self._answer(302, b"", Location=f"/blob/{rest[1]}")
        elif rest[2] == "approvals":
            self._answer(200, json.dumps(held.approvals).encode())
        else:
            self._page(held.artifacts.get(int(rest[1]), []), query, inside="artifacts")

    def do_POST(self) -> None:
        parts, body = self._change()
        if parts[0] == "statuses":
            self.held.statuses.append({"sha": parts[1], **body})
        elif parts == ["issues"]:
            number = len(self.held.issues) + 1
            self.held.issues[number] = {"number": number, "state": "open", "user": {"login": BOT}, **body}
        elif parts[2] == "comments":
            self.held.comment(int(parts[1]), body["body"])
        else:
            self.held.labels.setdefault(int(parts[1]), []).extend(body["labels"])
        self._answer(201, b"{}")

    def do_PATCH(self) -> None:
        parts, body = self._change()
        if parts[1] == "comments":
            self.held.comments[int(parts[2])]["body"] = body["body"]
        else:
            self.held.issues[int(parts[1])].update(body)
        self._answer(200, b"{}")

    def do_DELETE(self) -> None:
        parts, _ = self._change()
        there = self.held.labels.get(int(parts[1]), [])
        found = parts[3] in there
        if found:
            there.remove(parts[3])
        self._answer(200 if found else 404, b"[]")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent."""

    def _seen(self) -> None:
        self.held.seen.append((self.command, self.path, self.headers.get("Authorization") == f"Bearer {TOKEN}"))

    def _change(self) -> tuple[list[str], dict[str, Any]]:
        self._seen()
        length = int(self.headers.get("Content-Length") or 0)
        return self.path.removeprefix(f"/repos/{NAME}/").split("/"), json.loads(self.rfile.read(length) or b"{}")

    def _page(self, found: list[Any], query: dict[str, str], *, inside: str = "") -> None:
        size, number = min(int(query.get("per_page", "30")), 100), int(query.get("page", "1"))
        shown = found[(number - 1) * size : number * size]
        more: dict[str, str] = {}
        if len(found) > number * size:
            following = urlencode({**query, "page": str(number + 1)})
            address = f"{self.held.next_host or self.held.base}{urlsplit(self.path).path}?{following}"
            more["Link"] = f'<{self.held.base}/first>; rel="first", <{address}>; rel="next"'
        self._answer(200, json.dumps({inside: shown, "total_count": len(found)} if inside else shown).encode(), **more)

    def _answer(self, code: int, data: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _named(request: dict[str, Any]) -> str:
    return f"{request['head']['repo']['owner']['login']}:{request['head']['ref']}"
