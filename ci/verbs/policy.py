"""`policy`: judge what the programs of environments declare."""

from __future__ import annotations

from ci.cli import Options, emit
from ci.policy import answer, summary, table
from ci.programs import declared
from infra.environment import ROOT, Environment, names
from infra.policy import judge
from leandata.errors import LeandataError


def policy(options: Options) -> int:
    """Judge one environment, or every one with --all; 1 when anything is to be mended or a program fails."""
    answers = [_told(name, options) for name in names(root=ROOT)] if options.all else [_judged(options.env, options)]
    if options.json:
        emit({"environments": answers, "ok": all(one["ok"] for one in answers)} if options.all else answers[0])
    return 0 if all(one["ok"] for one in answers) else 1


def _told(name: str, options: Options) -> dict[str, object]:
    """As `_judged`, and where the programs themselves fail, why."""
    try:
        return _judged(name, options)
    except LeandataError as error:
        if not options.json:
            print(f"{name}: {error}")
        return {"environment": name, "error": str(error), "ok": False}


def _judged(name: str, options: Options) -> dict[str, object]:
    environment = Environment.load(name, environ={})
    programs = declared(name, root=environment.root)
    found = judge(programs, environment=environment)
    resources = sum(len(program.resources) for program in programs.values())
    if not options.json:
        show = summary if not found else table
        print(show(found, environment=name, resources=resources))
    return answer(found, environment=name, resources=resources)
