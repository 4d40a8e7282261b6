"""`catalogue`: the catalogue of datasets, written from contracts, dbt and lineage."""

from __future__ import annotations

from ci.cli import Options, emit
from ci.lineage.catalogue import FILE, PAGE, file, page
from ci.lineage.graph import lineage
from infra.environment import ROOT
from leandata.datasets import CATALOG


def catalogue(options: Options) -> int:
    """Write what differs; with `--check` say what differs and write nothing: 1 where something does."""
    found = lineage(ROOT)
    wanted = {PAGE: page(found), FILE: file(found)}
    differing = sorted(name for name, text in wanted.items() if _there(name) != text)
    if not options.check:
        for name in differing:
            (ROOT / name).write_text(wanted[name], encoding="utf-8")
    if options.json:
        emit({"ok": not (options.check and differing), "datasets": len(CATALOG), "differing": differing})
    elif options.check:
        print("\n".join(f"error: {name} is not what `make catalogue` writes" for name in differing) or "up to date")
    else:
        said = f"wrote {', '.join(differing)}" if differing else "nothing differs"
        print(f"{len(CATALOG)} datasets; {said}")
    return 1 if options.check and differing else 0


def _there(name: str) -> str:
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else ""
