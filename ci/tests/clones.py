"""A repository of what the working tree holds now, committed or not, to change and to run commands in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from infra.environment import ROOT


def copied(place: Path, *, installed: bool = True) -> Path:
    """A new repository at `place`, with one commit; with `installed` it has the libraries that are installed here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = ROOT / name
        if source.is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place / name)
    for folder in [Path(), Path("infra/standins/snowflake")] if installed else []:
        (place / folder / ".venv").symlink_to((ROOT / folder / ".venv").resolve())
    git(place, "init", "-q", "-b", "main")
    (place / ".git" / "info" / "exclude").write_text(".venv\n")  # a link is not the folder that .gitignore names
    commit(place, "what is here")
    return place


def commit(place: Path, said: str) -> None:
    """Commit everything."""
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", said)


def git(place: Path, *words: str) -> None:
    """Run git at `place`, as somebody."""
    names = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(place), *names, *words], check=True, capture_output=True)
