"""`python -m ci.preview.declaring ENV...`: what several environments declare, in one process, as JSON.

One process imports the providers once for all environments. It runs in the checkout whose programs are asked for, which
may be an older one: `ci.preview.running` starts it, and reads its answer.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ci import programs
from ci.preview.running import moved
from ci.programs import Program, Some
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

    Where `stacks` names an environment only these of it are run, and those that need one whose outputs are others than
    before: `outputs` are those of the stacks, by environment and stack, as an answer has them when it has been read.
    """
    found: dict[str, Any] = {}
    for environment in environments:
        os.environ["LEANDATA_ENV"] = environment
        Environment.current.cache_clear()
        try:
            some = None
            if environment in (stacks or {}):
                before = {name: Program(outputs=one) for name, one in (outputs or {}).get(environment, {}).items()}
                surely = frozenset((stacks or {})[environment])
                some = Some(surely=surely, before=before, form=functools.partial(_form, root))
            found[environment] = {"stacks": programs.answer(environment, root=root, some=some)}
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a program, its caller is told in one line
            found[environment] = {"error": programs.reason(error)}
    return {"version": VERSION, "environments": found}


def _form(root: Path, said: Any) -> Any:
    """Outputs as they are in an answer that has been read."""
    return json.loads(moved(json.dumps(said), root=root))


def main() -> None:
    """Print the answer for the checkout in the working directory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", nargs="+", help="an environment that has a file in infra/environments")
    parser.add_argument(
        "--stacks",
        action="append",
        default=[],
        metavar="ENV=STACK,...",
        help="only these of one environment, and what they lead to",
    )
    parser.add_argument("--outputs", default="", help="a JSON file: outputs by environment and stack")
    options = parser.parse_args()
    gc.disable()  # the process is short, and a third of its time would go into collecting what it keeps
    outputs = json.loads(Path(options.outputs).read_text(encoding="utf-8")) if options.outputs else None
    asked = dict(one.split("=", 1) for one in options.stacks)
    stacks = {environment: [name for name in names.split(",") if name] for environment, names in asked.items()}
    print(json.dumps(answer(options.environment, root=Path.cwd(), stacks=stacks, outputs=outputs)))


if __name__ == "__main__":
    main()
