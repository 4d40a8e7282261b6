"""The command line: how a verb is called, and how a failure is told."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ci.bootstrap import SetupError
from ci.commands import VERBS
from infra.environment import ROOT, Environment, names
from leandata.errors import LeandataError

Options = argparse.Namespace


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    top = argparse.ArgumentParser(prog="python -m ci", description="The leandata platform's command line.")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in sorted(VERBS.items()):
        sub = verbs.add_parser(name, help=verb.help, description=f"{verb.help[0].upper()}{verb.help[1:]}.")
        sub.add_argument("--env", default=os.environ.get("ENV") or "local", help="the environment (default: local)")
        sub.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        for option in verb.options:
            if option.switch:
                sub.add_argument(option.flag, action="store_true", help=option.help)
            else:
                sub.add_argument(option.flag, default=option.default, metavar=option.metavar, help=option.help)
    return top


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 when it was done, 1 when not, after one clear line."""
    options = parser().parse_args(arguments)
    os.environ["LEANDATA_ENV"] = options.env
    Environment.current.cache_clear()
    module, _, function = VERBS[options.verb].done_by.partition(":")
    try:
        demand_machine(options.verb, options.env)
        act: Callable[[Options], int] = getattr(importlib.import_module(module), function)
        return act(options)
    except (LeandataError, SetupError) as error:
        return fail(str(error), as_json=options.json)
    except KeyboardInterrupt:
        return fail("interrupted", as_json=options.json)
    except BrokenPipeError:  # whoever read our output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        return fail(f"{error.strerror or error}{place}", as_json=options.json)


def demand_machine(verb: str, name: str) -> None:
    """Raises LeandataError for a verb that looks at this machine's processes, where services run in a cluster."""
    elsewhere = VERBS[verb].elsewhere
    if not elsewhere or name not in names(root=ROOT):
        return
    table = Environment.load(name, environ=os.environ).file.kubernetes
    if table is not None:
        hint = elsewhere.format(prefix=table.prefix)
        raise LeandataError(f"{verb} looks at one machine, and {name} runs in a cluster", hint=hint)


def fail(text: str, *, as_json: bool) -> int:
    """Say why it was not done."""
    if as_json:
        emit({"error": text})
    else:
        print(f"error: {text}", file=sys.stderr)
    return 1


def emit(answer: dict[str, Any]) -> None:
    """Print an answer for machines: versioned and sorted."""
    print(json.dumps({"version": 1, **answer}, indent=2, sort_keys=True, default=str))
