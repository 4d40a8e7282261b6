"""`python -m ci.preview.declaring ENV...`: what several environments declare, in one process, as JSON.

One process imports the providers once for all environments. It runs in the checkout whose programs are asked for, which
may be an older one: `ci.preview.running` starts it, and reads its answer.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ci import programs
from ci.programs import Program
from infra.environment import Environment

VERSION = 1


def answer(
    environments: Collection[str],
    *,
    root: Path,
    stacks: Mapping[str, Collection[str]] | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The answer for machines: by environment its stacks with resources and outputs, or the one-line reason why not.

    Where `stacks` names an environment only these of it are run; `outputs` are those of the stacks that are not, by
    environment and stack.
    """
    found: dict[str, Any] = {}
    for environment in environments:
        os.environ["LEANDATA_ENV"] = environment
        Environment.current.cache_clear()
        try:
            before = {name: Program(outputs=one) for name, one in (outputs or {}).get(environment, {}).items()}
            some = (stacks or {}).get(environment, ())
            found[environment] = {"stacks": programs.answer(environment, root=root, stacks=some, before=before)}
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a program, its caller is told in one line
            found[environment] = {"error": programs.reason(error)}
    return {"version": VERSION, "environments": found}


def main() -> None:
    """Print the answer for the checkout in the working directory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", nargs="+", help="an environment that has a file in infra/environments")
    parser.add_argument(
        "--stacks", action="append", default=[], metavar="ENV=STACK,...", help="only these of one environment"
    )
    parser.add_argument("--outputs", default="", help="a JSON file: outputs by environment and stack")
    options = parser.parse_args()
    gc.disable()  # the process is short, and a third of its time would go into collecting what it keeps
    outputs = json.loads(Path(options.outputs).read_text(encoding="utf-8")) if options.outputs else None
    asked = dict(one.split("=", 1) for one in options.stacks)
    stacks = {environment: names.split(",") for environment, names in asked.items()}
    print(json.dumps(answer(options.environment, root=Path.cwd(), stacks=stacks, outputs=outputs)))


if __name__ == "__main__":
    main()
