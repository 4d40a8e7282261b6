"""`python -m ci VERB`: set up what is missing, then do it with the workspace's own Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ci.bootstrap import ROOT, SetupError, cache, interpreter, needs_cloud, needs_engine, setup

_WITHOUT_SETUP = ("-h", "--help")


def main() -> int:
    """Run the verb on the command line; its exit code."""
    try:
        inside = Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()
        if not inside or not set(_WITHOUT_SETUP) & set(sys.argv[1:]):
            setup(cloud=needs_cloud(sys.argv[1:]), engine=needs_engine(sys.argv[1:]))
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if not inside:
        python = str(interpreter())
        os.chdir(ROOT)
        os.execv(python, [python, "-m", "ci", *sys.argv[1:]])  # noqa: S606
    # What libraries keep for themselves goes where we keep such things, not into the user's ~/.config.
    os.environ.setdefault("MPLCONFIGDIR", str(cache() / "matplotlib"))
    from ci.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
