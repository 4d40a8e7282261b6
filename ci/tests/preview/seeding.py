"""Edits of real program source, and what the programs declare after each: `python seeding.py ENVIRONMENT...`.

It runs in a copy of the checkout that it may change. From its input it reads edits as JSON, one a line; for each it
changes the files, runs the program of the edit's one stack anew, puts the files back, and prints what was declared.
"""

from __future__ import annotations

import compileall
import gc
import importlib
import json
import os
import py_compile
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # files change more often than their times tell

from ci import programs  # noqa: E402
from ci.graph import StackInfo, discover, order  # noqa: E402
from ci.programs import Program  # noqa: E402

ROOT = Path.cwd()


def main() -> None:
    """Print the programs of the environments as they are, then those of each edit."""
    # Importing the SDKs of the clouds makes a million objects that stay: looking through them is a sixth of it.
    gc.set_threshold(50_000, 20, 20)
    # Read anew for each edit, most modules are as they were: what they compile to is found by a sum of the text.
    for folder in ("infra", "services"):
        compileall.compile_dir(ROOT / folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    base: dict[str, dict[str, Program]] = {}
    known: dict[str, dict[str, StackInfo]] = {}
    for environment in sys.argv[1:]:
        by_hand = discover(ROOT, environment, by_hand=True) if environment != "local" else {}
        stacks = discover(ROOT, environment) | by_hand
        known[environment], base[environment] = stacks, {}
        for name in order(stacks):
            base[environment][name] = run(stacks[name], environment, base[environment])
        say({"environment": environment, "stacks": {name: plain(one) for name, one in base[environment].items()}})
    for line in sys.stdin:
        edit = json.loads(line)
        environment, stack = edit["environment"], edit["stack"]
        try:
            with edited(edit["changes"]):
                say(
                    {"id": edit["id"], "program": plain(run(known[environment][stack], environment, base[environment]))}
                )
        except Exception as error:  # noqa: BLE001 - the test says which edit it was
            say({"id": edit["id"], "error": f"{type(error).__name__}: {error}"})


def run(stack: StackInfo, environment: str, before: Mapping[str, Program]) -> Program:
    """What the stack's program declares, with every module of ours that declares things read anew."""
    os.environ["LEANDATA_ENV"] = environment
    for name in [one for one in sys.modules if one.partition(".")[0] in ("infra", "services")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    with redirect_stdout(sys.stderr):
        return programs.run(stack, environment=environment, before=before)


@contextmanager
def edited(changes: list[dict[str, str]]) -> Iterator[None]:
    """The files as changed: a text for another, a file at another place, or a new file; then as they were."""
    touched = {ROOT / one[key] for one in changes for key in ("file", "to") if key in one}
    before = {path: path.read_text(encoding="utf-8") if path.exists() else None for path in touched}
    try:
        for one in changes:
            _change(one)
        yield
    finally:
        for path, text in before.items():
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text, encoding="utf-8")


def _change(one: Mapping[str, str]) -> None:
    path = ROOT / one["file"]
    if "to" in one:
        path.rename(ROOT / one["to"])
    elif "text" in one:
        path.write_text(one["text"], encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8")
        if one["old"] not in text:
            raise ValueError(f"{one['file']} has no {one['old']!r}")
        path.write_text(text.replace(one["old"], one["new"]), encoding="utf-8")


def plain(program: Program) -> dict[str, Any]:
    """The program for JSON."""
    return {"outputs": program.outputs, "resources": [asdict(one) for one in program.resources.values()]}


def say(what: Mapping[str, Any]) -> None:
    """One line of the answer."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
