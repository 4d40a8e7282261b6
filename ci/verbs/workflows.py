"""`workflows`: write the workflows of GitHub from their description, or check that they are as described."""

from __future__ import annotations

from ci.cli import Options, emit
from ci.workflows.described import FOLDER, described
from ci.workflows.files import differing, wanted, write
from infra.environment import ROOT
from leandata.errors import LeandataError


def workflows(options: Options) -> int:
    """Write what differs. With --check nothing is written, and a difference is an error."""
    files = wanted(described(ROOT))
    differs = differing(ROOT / FOLDER, files)
    if options.check and differs:
        raise LeandataError(f"not as described: {', '.join(differs)}", where=FOLDER, hint="Run `make workflows`")
    write(ROOT / FOLDER, files, differs)
    if options.json:
        emit({"files": sorted(files), "written": differs})
    else:
        print(f"{len(files)} workflows, {', '.join(differs) + ' written' if differs else 'all as described'}")
    return 0
