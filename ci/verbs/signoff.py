"""`signoff`: whether all teams that a preview's risks need have approved the current commit."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ci import git
from ci.cli import Options, emit
from ci.owners.signing import Signed, approving, decide, reviews, rows
from ci.owners.teams import FILE, Teams
from infra.environment import ROOT
from leandata.errors import LeandataError

MISSING = 3


def signoff(options: Options) -> int:
    """Print who is missing for each risk; 0 where nobody is, 3 where somebody is."""
    for name in ("preview", "reviews", "commit", "author"):
        if not getattr(options, name):
            raise LeandataError(
                f"{name.upper()} is missing", hint="make signoff PREVIEW=file REVIEWS=file COMMIT= AUTHOR="
            )
    owners = [Teams.load(ROOT)]
    if options.owners_from:
        owners.append(teams_of(ROOT, options.owners_from))
    needed = rows(_json(Path(options.preview)), owners=owners)
    given = approving(reviews(_json(Path(options.reviews))), commit=options.commit, author=options.author)
    found = decide(needed, approvals=given, owners=owners)
    missing = sorted({team for one in found for team in one.missing})
    if options.json:
        emit({"ok": not missing, "missing": missing, "rows": [_row(one) for one in found]})
    else:
        print("\n".join(lines(found)) or "No risk needs a signature.")
        if missing:
            print(f"Missing: {', '.join(missing)}. Each of them approves commit {options.commit[:12]}.")
    return MISSING if missing else 0


def lines(found: list[Signed]) -> list[str]:
    """A line for each risk."""
    said: list[str] = []
    for one in found:
        done = [f"{team}: {', '.join(people)}" for team, people in sorted(one.by.items()) if people]
        lacking = [f"{team}: missing" for team in one.missing]
        mark = "MISSING" if one.missing else "signed "
        said.append(f"{mark}  {one.row.kind:<10}  {one.row.stack}  {one.row.name}  ({'; '.join([*done, *lacking])})")
    return said


def teams_of(root: Path, commit: str) -> Teams:
    """The ownership as a commit has it. Raises LeandataError where git knows no such commit, or it has no such file."""
    result = git.run(root, "archive", "--format=tar", "--end-of-options", commit, FILE, "services")
    if result.returncode != 0:
        reason = git.reason(result) or "no reason given"
        raise LeandataError(f"git cannot show the owners of {commit}: {reason}", where=str(root))
    with tempfile.TemporaryDirectory(prefix="leandata-owners-") as folder:
        with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
            archive.extractall(folder, filter="data")
        return Teams.load(Path(folder))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise LeandataError("the file is no JSON", where=str(path)) from error


def _row(one: Signed) -> dict[str, Any]:
    row = one.row
    return {
        "kind": row.kind,
        "stack": row.stack,
        "name": row.name,
        "teams": list(row.teams),
        "by": {team: list(people) for team, people in one.by.items()},
        "missing": list(one.missing),
    }
