"""Chromium of this machine, driven by Playwright: for tests of pages and for the bench."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from infra.environment import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "google-chrome", "chromium-browser")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE_MS = 60_000  # a busy machine draws slowly
SHOTS = Path(os.environ.get("LEANDATA_SCREENSHOTS") or ROOT / "build" / "screenshots")


def find() -> str | None:
    """Where Chromium is, None where there is none: `apt-get install chromium`."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def browser(path: str) -> Generator[Browser]:
    """The browser at `path`, without a window; assertions wait as long as a busy machine needs."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield found
        finally:
            found.close()


def log_in(page: Page, url: str, *, user: str, password: str) -> None:
    """Log in at the dashboards' own form."""
    page.goto(f"{url}/login")
    page.fill("#user", user)
    page.fill("#password", password)
    page.click("#login")
