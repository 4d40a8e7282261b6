"""`smoke`: whether the pages of services answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ci.cli import Options, emit
from ci.smoke import ask, pages, wrong
from infra.components.manifest import ServiceManifest
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError


def smoke(options: Options) -> int:
    """Ask every page, for as long as --patience says; 1 when one does not answer well."""
    known = sorted(path.parent.name for path in (ROOT / "services").glob("*/service.toml"))
    if options.service and options.service not in known:
        raise LeandataError(f"no service {options.service!r}", hint=f"SERVICE is one of: {', '.join(known)}")
    if not options.patience.isdecimal():
        raise LeandataError(f"{options.patience!r} is no number of seconds", hint="PATIENCE=120")
    services = [ServiceManifest.load(name) for name in known if options.service in ("", name)]
    asked = pages(Environment.current(), services)
    if not asked:
        raise LeandataError("there is no page that could be asked from here", where=options.env)
    with ThreadPoolExecutor(max_workers=8) as pool:
        said = list(pool.map(lambda page: wrong(page, ask, patience=float(options.patience)), asked))
    if options.json:
        rows = [
            {"process": page.process, "url": page.url, "problem": problem}
            for page, problem in zip(asked, said, strict=True)
        ]
        emit({"ok": not any(said), "pages": rows})
    else:
        for page, problem in zip(asked, said, strict=True):
            print(f"{'FAIL' if problem else 'ok  '} {page.process:<20} {page.url} {problem}".rstrip())
    return 1 if any(said) else 0
