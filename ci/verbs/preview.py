"""`preview`: what a change does to an environment: resources, risks, money, who signs; nothing is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.bootstrap import SetupError, pulumi_path
from ci.cli import Options, emit
from ci.engine import Engine
from ci.preview.document import document, text
from ci.preview.graphs import Cache
from ci.preview.live import deployed, reconcile, steps_of
from ci.preview.making import LiveLook, Made, Reasons, failed, given, make, only, unknown
from ci.preview.markdown import markdown
from ci.preview.page import page
from ci.preview.report import CHANGES, FAILED, NEEDS_SIGN_OFF, NO_CHANGE, Live
from ci.preview.running import CHECKOUT
from ci.preview.sources import Repository
from ci.preview.summary import summary
from ci.programs import Program
from ci.progress import say
from ci.release.plan import Plan
from ci.release.world import plan_now
from infra.environment import ROOT, Environment, names
from leandata.errors import LeandataError

_WORST = (NO_CHANGE, CHANGES, NEEDS_SIGN_OFF, FAILED)


def preview(options: Options) -> int:
    """Preview, write the report, say it; 0 no change, 2 changes without risk, 3 a risk needs sign-off, 1 it failed.

    For several environments the exit code is the gravest. With --soft only a failure is an error: a job that shows what
    it found has done its work.
    """
    environments = asked(options.env)
    stacks = [name for name in options.stack.split(",") if name]
    repository = Repository(root=ROOT)
    places = folders(options.out, environments)
    looks = Looks(asked=options.live)
    try:
        found = make(
            repository,
            environments,
            base=options.base,
            given=given(ROOT),
            store=Cache.of(ROOT),
            reasons=Reasons(root=ROOT),
            live=looks.look,
            plan=looks.plan,
            say=say,
        )
        found = {name: only(made, stacks) for name, made in found.items()}
    except (LeandataError, KeyboardInterrupt) as error:
        commits, why = unknown(repository), str(error) or "it was interrupted"
        found = {name: failed(name, commits, why) for name in environments}
    for name, made in found.items():
        write(made, places[name])
    _show(found, places, as_json=options.json)
    code = max((made.preview.exit_code for made in found.values()), key=_WORST.index)
    return NO_CHANGE if options.soft and code != FAILED else code


def folders(out: str, environments: Sequence[str]) -> dict[str, Path]:
    """Where each report goes: one alone into `out`, several (and without `out`) each into a folder of its name."""
    if out and len(environments) == 1:
        return {environments[0]: Path(out)}
    return {name: (Path(out) if out else ROOT / ".leandata" / "preview") / name for name in environments}


@dataclass(frozen=True, kw_only=True, slots=True)
class Looks:
    """Looks at live states where that is asked for: `asked` is "yes", "no" or "" (one machine, if it is deployed)."""

    asked: str

    def __post_init__(self) -> None:
        if self.asked not in ("", "no", "yes"):
            raise LeandataError(f"LIVE is {self.asked!r}", hint="It is yes or no")

    def look(self, name: str) -> Live | LiveLook:
        """How the live state of the environment is looked at, or why it is not."""
        engine, why = self._engine(name)
        if engine is None:
            return Live(compared=False, why=why)
        return lambda changes: reconcile(changes, steps_of(engine))

    def plan(self, name: str, programs: Mapping[str, Program], teams: tuple[str, ...]) -> Plan:
        """The plan by which this can be deployed; without a look at the live state it cannot."""
        environment = Environment.load(name, environ=os.environ, root=ROOT)
        return plan_now(environment, programs, engine=self._engine(name)[0], needs=teams, root=CHECKOUT)

    def _engine(self, name: str) -> tuple[Engine | None, str]:
        if self.asked == "no":
            return None, "LIVE=no was said"
        if name != "local" and not self.asked:
            return None, "LIVE=yes adds it, with the environment's credentials"
        environment = Environment.load(name, environ=os.environ, root=ROOT)
        if not self.asked and not deployed(environment):
            return None, "it is not deployed from here"
        try:
            return Engine(environment=environment, pulumi=pulumi_path()), ""
        except SetupError as error:
            if self.asked:
                raise LeandataError(str(error)) from error
            return None, str(error)


def asked(text: str) -> list[str]:
    """The environments in "dev", "dev,prod" or "all". Raises LeandataError for one that there is not."""
    known = names(root=ROOT)
    found = known if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
    strange = [name for name in found if name not in known]
    if strange or not found:
        raise LeandataError(
            f"unknown environment {(strange or [text])[0]!r}", hint=f"ENV is one of: {', '.join(known)}, all"
        )
    return sorted(set(found))


def write(made: Made, folder: Path) -> None:
    """Write `preview.md`, `preview.json` and `preview.html`, each whole or not at all, and `plan.json` to deploy by."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "preview.html": page(made.preview, counts=made.counts),
        "preview.json": text(made.preview),
        "preview.md": markdown(made.preview),
    }
    if made.plan is not None:
        made.plan.write(folder / "plan.json")
    else:
        (folder / "plan.json").unlink(missing_ok=True)
    for name, content in files.items():
        scratch = folder / f".{name}.new"
        scratch.write_text(content, encoding="utf-8")
        scratch.replace(folder / name)


def _show(found: Mapping[str, Made], places: Mapping[str, Path], *, as_json: bool) -> None:
    if as_json:
        documents = {name: document(made.preview) for name, made in found.items()}
        emit({"environments": documents} if len(documents) > 1 else next(iter(documents.values())))
        return
    for name, made in found.items():
        print(summary(made.preview))
        print(f"  {places[name]}/preview.md, preview.json, preview.html")
