"""`key`: the keys of the API's clients."""

from __future__ import annotations

import argparse

from ci.cli import Options, emit
from infra.environment import Environment
from leandata.database import connect
from leandata.errors import LeandataError
from leandata.settings import DatabaseAddress
from serving import keys


def key(options: Options) -> int:
    """List the keys, create one, rotate or revoke one, in the database of an environment on this machine."""
    from ci.bootstrap import pulumi_path
    from ci.engine import Engine

    asked = keys.parser().parse_args(arguments(options))
    environment = Environment.current()
    address = Engine(environment=environment, pulumi=pulumi_path()).outputs("database").get("events_writer")
    if not address:
        raise LeandataError("there is no database of events yet", where=environment.name, hint="Run `make deploy`")
    return do(asked, DatabaseAddress.parse(address), as_json=options.json)


def do(asked: argparse.Namespace, address: DatabaseAddress, *, as_json: bool) -> int:
    """Do what was asked in that database and say what came of it. Raises LeandataError."""
    with connect(address) as connection:
        answer = keys.run(asked, connection)
    if as_json:
        emit(answer)
    else:
        print(keys.told(answer))
    return 0


def arguments(options: Options) -> list[str]:
    """The same as the service's own command line has it. Raises LeandataError unless one thing is asked for."""
    given = {
        "list": options.list, "create": options.create, "rotate": options.rotate, "revoke": options.revoke,
    }  # fmt: skip
    asked = [name for name, value in given.items() if value]
    if len(asked) != 1:
        hint = "LIST=yes, CREATE=name SCOPES=events:write, ROTATE=id or REVOKE=id"
        raise LeandataError("one thing is done at a time", hint=hint)
    verb = asked[0]
    if options.rate and not options.rate.isdecimal():
        raise LeandataError(f"{options.rate!r} is no number of requests a second", hint="RATE=50")
    before = ["--dry"] if options.dry else []
    if verb == "list":
        return [*before, verb]
    after = ["--scopes", options.scopes, *(["--rate", options.rate] if options.rate else [])]
    return [*before, verb, *(after if verb == "create" else []), "--", given[verb]]
