"""`preview`: what a change does to an environment: resources, risks, money, who signs; nothing is touched."""

from __future__ import annotations

import sys
from pathlib import Path

from ci.cli import Options, emit
from ci.preview.document import document, text
from ci.preview.graphs import Cache
from ci.preview.making import Made, failed, given, make, only, unknown
from ci.preview.markdown import markdown
from ci.preview.page import page
from ci.preview.report import CHANGES, FAILED, NEEDS_SIGN_OFF, NO_CHANGE
from ci.preview.sources import Repository
from ci.preview.summary import summary
from infra.environment import ROOT, names
from leandata.errors import LeandataError

_WORST = (NO_CHANGE, CHANGES, NEEDS_SIGN_OFF, FAILED)


def preview(options: Options) -> int:
    """Preview, write the report, say it; 0 no change, 2 changes without risk, 3 a risk needs sign-off, 1 it failed.

    For several environments the exit code is the gravest.
    """
    environments = asked(options.env)
    stacks = [name for name in options.stack.split(",") if name]
    repository = Repository(root=ROOT)
    folder = Path(options.out) if options.out else ROOT / ".leandata" / "preview"
    try:
        found = make(
            repository, environments, base=options.base, given=given(ROOT), store=Cache.of(ROOT), say=say
        )  # fmt: skip
        found = {name: only(made, stacks) for name, made in found.items()}
    except (LeandataError, KeyboardInterrupt) as error:
        commits, why = unknown(repository), str(error) or "it was interrupted"
        found = {name: failed(name, commits, why) for name in environments}
    for name, made in found.items():
        write(made, folder / name)
    _show(found, folder, as_json=options.json)
    return max((made.preview.exit_code for made in found.values()), key=_WORST.index)


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
    """Write `preview.md`, `preview.json` and `preview.html`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "preview.html": page(made.preview, counts=made.counts),
        "preview.json": text(made.preview),
        "preview.md": markdown(made.preview),
    }
    for name, content in files.items():
        scratch = folder / f".{name}.new"
        scratch.write_text(content, encoding="utf-8")
        scratch.replace(folder / name)


def say(text: str) -> None:
    """Progress, beside the answer."""
    print(text, file=sys.stderr, flush=True)


def _show(found: dict[str, Made], folder: Path, *, as_json: bool) -> None:
    if as_json:
        documents = {name: document(made.preview) for name, made in found.items()}
        emit({"environments": documents} if len(documents) > 1 else next(iter(documents.values())))
        return
    for name, made in found.items():
        print(summary(made.preview))
        print(f"  {folder / name}/preview.md, preview.json, preview.html")
