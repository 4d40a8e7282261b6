"""`releases` and `where`: what was deployed, what two releases differ in, and where a commit runs."""

from __future__ import annotations

import os
from dataclasses import asdict

from ci import git
from ci.cli import Options, emit
from ci.release.manifest import Release, compared, named
from ci.release.manifest import where as environments_with
from ci.release.store import Store, releases
from infra.environment import ROOT, Environment, names
from leandata.errors import LeandataError


def listed(options: Options) -> int:
    """List the releases of an environment, the newest last; with A and B, what those two differ in."""
    environment = Environment.current()
    found = releases(Store.of(environment))
    if options.a or options.b:
        _compare(named(found, options.a), named(found, options.b), as_json=options.json)
    elif options.json:
        emit({"environment": environment.name, "releases": [asdict(one) for one in found]})
    elif not found:
        print(f"Nothing was released to {environment.name} yet. `make deploy ENV={environment.name}` does it.")
    else:
        for one in found:
            print(row(one))
    return 0


def row(release: Release) -> str:
    """A release as one line: its id, its commit, when, by whom, and what is special."""
    marks = ["uncommitted work"] if release.uncommitted else []
    marks += [f"back to {release.back_to}"] if release.back_to else []
    marks += ["by plan"] if release.plan else []
    marks += [", ".join(release.stacks)] if len(release.stacks) < len(release.serials) else []
    return f"{release.id}  {release.commit[:12]:<12}  {release.when[:16]}  {release.who}  {'; '.join(marks)}".rstrip()


def where(options: Options) -> int:
    """Say which environments run a commit: those whose newest release has it. 1 when none does."""
    change = git.commit(ROOT, options.change or "HEAD")
    newest: dict[str, Release] = {}
    unknown: dict[str, str] = {}
    for name in names(root=ROOT):
        try:
            found = releases(Store.of(Environment.load(name, environ=_own(name, options.env), root=ROOT)))
        except LeandataError as error:
            unknown[name] = str(error)
            continue
        if found:
            newest[name] = found[-1]
    runs = environments_with(change, newest, lambda released, one: git.contains(ROOT, released, one))
    if options.json:
        emit(
            {
                "change": change,
                "environments": runs,
                "releases": {n: r.id for n, r in newest.items()},
                "unknown": unknown,
            }
        )
    else:
        print(f"{change[:12]}:")
        for name in names(root=ROOT):
            said = (
                "nothing was released" if name not in newest else f"{'yes' if runs[name] else 'no '}  {newest[name].id}"
            )
            print(f"  {name:<10} {unknown.get(name, said)}")
    return 0 if any(runs.values()) else 1


def _own(name: str, chosen: str) -> dict[str, str]:
    """The settings for `name`: a state folder that was named is that of the environment that was chosen."""
    return {key: text for key, text in os.environ.items() if name == chosen or key != "LEANDATA_STATE"}


def _compare(before: Release, after: Release, *, as_json: bool) -> None:
    rows = compared(before, after)
    if as_json:
        emit(
            {
                "a": before.id,
                "b": after.id,
                "differences": [dict(zip(("what", "a", "b"), row, strict=True)) for row in rows],
            }
        )
        return
    print(f"{before.id} -> {after.id}")
    width = max((len(what) for what, _, _ in rows), default=0)
    for what, old, new in rows:
        print(f"  {what:<{width}}  {_short(old)} -> {_short(new)}")
    if not rows:
        print("  nothing differs")


def _short(text: str) -> str:
    return text.removeprefix("sha256:")[:12] if len(text) >= 40 and " " not in text else text
