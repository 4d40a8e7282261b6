"""GitHub's API, as much of it as is needed: pages, changes, downloads. The token is sent to its own host only."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from leandata.errors import LeandataError

_NEXT = re.compile(r'<([^<>]+)>;[^<>]*\brel="next"')
_PAGES = 300
_PAGE = 100
_ANSWER = 20_000_000
_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class GitHub:
    """One repository, by GitHub's REST API. Raises LeandataError for every answer that is not the asked one."""

    api: str
    repository: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, repository: str, environ: Mapping[str, str] | None = None) -> Self:
        """With the token of the environment variable GITHUB_TOKEN. Raises LeandataError without one."""
        environ = os.environ if environ is None else environ
        token = environ.get("GITHUB_TOKEN", "")
        if not token:
            raise LeandataError("no token for GitHub", hint="Export GITHUB_TOKEN; in a workflow it is github.token")
        return cls(api=environ.get("GITHUB_API_URL") or "https://api.github.com", repository=repository, token=token)

    def get(self, path: str, **query: str) -> Any:
        """One answer."""
        return self._json(self._url(path, query), "GET")[0]

    def pages(self, path: str, *, inside: str = "", **query: str) -> Iterator[Any]:
        """The elements of every page; `inside` is the key that holds the list, where there is one."""
        url = self._url(path, {**query, "per_page": str(_PAGE)})
        for _ in range(_PAGES):
            found, link = self._json(url, "GET")
            items = found.get(inside) if inside and isinstance(found, dict) else found
            if not isinstance(items, list):
                raise LeandataError("GitHub answers with no list", where=path)
            yield from items
            if (match := _NEXT.search(link)) is None:
                return
            url = self._own(match[1])
        raise LeandataError(f"more than {_PAGES} pages", where=path)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Change something: POST, PATCH, DELETE."""
        return self._json(self._url(path, {}), method, body)[0]

    def download(self, path: str, *, at_most: int) -> bytes:
        """A file, by whatever redirection; no more than `at_most` bytes. The token is not sent on."""
        return self._open(self._url(path, {}), "GET", None, at_most)[0]

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        text = urllib.parse.urlencode(sorted(query.items()))
        return f"{self.api}/repos/{self.repository}/{path}" + (f"?{text}" if text else "")

    def _own(self, url: str) -> str:
        """The address of a next page: of the same host, or an error."""
        ours, theirs = urllib.parse.urlsplit(self.api), urllib.parse.urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise LeandataError("GitHub's next page lies on another host", where=theirs.netloc)
        return url

    def _json(self, url: str, method: str, body: Mapping[str, Any] | None = None) -> tuple[Any, str]:
        data, link = self._open(url, method, body, _ANSWER)
        try:
            return (json.loads(data) if data else None), link
        except (ValueError, RecursionError):
            raise LeandataError("GitHub answers with no JSON", where=urllib.parse.urlsplit(url).path) from None

    def _open(self, url: str, method: str, body: Mapping[str, Any] | None, at_most: int) -> tuple[bytes, str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        # Not sent again where a redirection leads: downloads are served by others.
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        place = f"{method} {urllib.parse.urlsplit(url).path}"
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                found = answer.read(at_most + 1)
                link = str(answer.headers.get("Link") or "")
        except urllib.error.HTTPError as error:
            with error:
                raise LeandataError(f"GitHub answers {error.code}", where=place, hint=_hint(error.code)) from None
        except (OSError, http.client.HTTPException) as error:
            raise LeandataError(f"GitHub cannot be reached: {type(error).__name__}", where=place) from None
        if len(found) > at_most:
            raise LeandataError(f"more than {at_most:,} bytes", where=place)
        return found, link


def _hint(code: int) -> str:
    if code in (401, 403):
        return "The token has not the right: see `permissions` of the job"
    return "Try again later" if code >= 500 or code == 429 else ""
