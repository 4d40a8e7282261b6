"""`snapshot`: write down what the environments declare, to be reviewed with the change."""

from __future__ import annotations

from ci.cli import Options, emit
from ci.snapshot import differences, path, take, text
from infra.environment import ROOT, names
from leandata.errors import LeandataError


def snapshot(options: Options) -> int:
    """Write the snapshot of every environment, and say which lines changed; 1 when a program of one fails."""
    changed: dict[str, list[str]] = {}
    problems: list[str] = []
    for environment in names(root=ROOT):
        place = path(environment)
        before = place.read_text(encoding="utf-8") if place.exists() else ""
        try:
            after = text(environment, take(environment))
        except LeandataError as error:
            problems.append(str(error))
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(after, encoding="utf-8")
        changed[environment] = differences(before, after)
    if options.json:
        emit({"ok": not problems, "changed": changed, "problems": problems})
        return 1 if problems else 0
    for environment, lines in changed.items():
        print(f"{environment}: {len(lines)} lines changed")
        print("\n".join(f"  {line}" for line in lines), end="\n" if lines else "")
    for problem in problems:
        print(f"error: {problem}")
    return 1 if problems else 0
