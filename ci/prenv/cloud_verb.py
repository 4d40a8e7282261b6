"""`pr-env` for a cloud environment: its declarations as files, and what a sweeper removes. Nothing is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ci.cli import Options, emit
from ci.policy import summary, table
from ci.prenv import sweeping, tags
from ci.prenv.clones import clone_sql, drop_sql
from ci.prenv.slice import Slice, sliced
from ci.programs import Program, declared
from ci.snapshot import doubled
from infra.environment import Environment
from infra.policy import Finding, judge
from leandata.errors import LeandataError


def in_the_cloud(options: Options, environment: Environment) -> int:
    """Write the declarations with --up, or say what is to be removed; 1 when a policy forbids something of it."""
    if not options.up:
        return _removing(options)
    part = Slice(number=tags.number(options.number), until=datetime.now(UTC) + tags.LIFE)
    programs = declared(environment.name, root=environment.root)
    made = sliced(programs, part)
    found = findings(environment, programs, made)
    folder = Path(options.out) if options.out else environment.root / ".leandata" / part.name / environment.name
    write(folder, made, part)
    count = sum(len(program.resources) for program in made.values())
    if options.json:
        emit({"ok": not found, "name": part.name, "resources": count, "findings": len(found), "folder": str(folder)})
    else:
        show = table if found else summary
        print(show(found, environment=f"{environment.name} with {part.name}", resources=count))
        print(f"written to {folder}")
    return 1 if found else 0


def findings(environment: Environment, programs: Mapping[str, Program], made: Mapping[str, Program]) -> list[Finding]:
    """What the policies say of the environment with the slice. Raises LeandataError when two things have one name."""
    both = {**programs, **made}
    twice = list(doubled(both))
    if twice:
        raise LeandataError(twice[0])
    return judge(both, environment=environment)


def write(folder: Path, made: Mapping[str, Program], part: Slice) -> None:
    """The SQL that makes it and that takes it away, and its manifests, as files in `folder`."""
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clone.sql").write_text(clone_sql(made, part), encoding="utf-8")
    (folder / "drop.sql").write_text(drop_sql(made), encoding="utf-8")
    resources = [one for _, program in sorted(made.items()) for _, one in sorted(program.resources.items())]
    manifests = [one.properties for one in resources if one.type.startswith("kubernetes:")]
    (folder / "manifests.yaml").write_text(yaml.safe_dump_all(manifests, sort_keys=True), encoding="utf-8")


def _removing(options: Options) -> int:
    """What is to be removed: of one pull request with --down, of all that have ended with --sweep."""
    if not options.tagged:
        hint = "TAGGED=file, a list of {kind, name, tags}"
        raise LeandataError("what lies in the cloud is not known", hint=hint)
    listed = sweeping.load(Path(options.tagged))
    now = datetime.now(UTC)
    found = sweeping.ended(listed, now=now) if options.sweep else sweeping.of(listed, tags.number(options.number))
    strange = sweeping.unreadable(listed)
    if options.json:
        emit({"remove": [asdict(one) for one in found], "unreadable": [asdict(one) for one in strange]})
        return 0
    for one in found:
        print(f"remove {one.kind:<12} {one.name}")
    for one in strange:
        print(f"unclear {one.kind:<11} {one.name}: its tag does not say until when")
    if not found:
        print("nothing with such a tag is left")
    return 0
