"""`owners`: who owns a path, and the file from which GitHub knows it."""

from __future__ import annotations

from pathlib import Path

from ci import git
from ci.cli import Options, emit
from ci.owners import codeowners
from ci.owners.teams import Teams
from infra.environment import ROOT


def owners(options: Options) -> int:
    """Answer for `--what`; else write the file, or with `--check` say what is wrong; 1 where something is."""
    teams = Teams.load(ROOT)
    if options.what:
        return _who(teams, options)
    files = sorted({*tracked(ROOT), codeowners.FILE})
    problems = codeowners.problems(teams, files)
    wanted = codeowners.text(teams, folders=codeowners.folders_of(files))
    place = ROOT / codeowners.FILE
    same = place.exists() and place.read_text(encoding="utf-8") == wanted
    if options.check and not same:
        problems.append(f"{codeowners.FILE} is not what `make owners` writes")
    if not options.check and not same:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(wanted, encoding="utf-8")
    if options.json:
        emit({"ok": not problems, "problems": problems, "files": len(files), "written": not options.check and not same})
    else:
        done = "wrote" if not options.check and not same else "checked"
        print("\n".join([*(f"error: {said}" for said in problems), f"{len(files)} files; {done} {codeowners.FILE}"]))
    return 1 if problems else 0


def tracked(root: Path) -> list[str]:
    """Every file that git tracks in `root` and that is there, sorted. Raises LeandataError without git."""
    paths = git.names(root, "ls-files", "-z", failed="git cannot list files")
    return sorted(path for path in paths if (root / path).exists())


def _who(teams: Teams, options: Options) -> int:
    path = options.what.removeprefix("./").rstrip("/")
    owner = teams.owner_of(path)
    team = teams.teams[owner]
    if options.json:
        emit({"path": path, "owner": owner, "handle": team.handle, "people": sorted(team.people)})
    else:
        print(f"{path}  {owner}  {team.handle}  ({', '.join(sorted(team.people))})")
    return 0
