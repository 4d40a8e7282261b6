"""Start the stand-in for Snowflake: fakesnow behind rules of our own, with everything kept on disk.

It runs in its own virtual environment (fakesnow needs a duckdb and a sqlglot of its own) and touches fakesnow's
internals, so fakesnow is pinned exactly. What it changes, and why, was measured:

- every database, stage and file format survives a restart;
- a failing statement is an SQL error, never an HTTP 500, which clients would retry for minutes;
- SUM of decimals is exact;
- results are kept for a while, not for ever;
- a statement that takes long is answered with where its result will be, as Snowflake does: a client that heard nothing
  would send it once more;
- statements about roles, users, warehouses and the like succeed and do nothing: access is enforced elsewhere;
- `CREATE TEMPORARY TABLE db.schema.x`, as dbt says it, makes an ordinary table (dbt drops it itself);
- functions in Python answer where their full name is called: those that it was started with, and no others.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import functools
import json
import re
import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import fakesnow.cursor
import fakesnow.server
import fakesnow.transforms.stage
import snowflake.connector.errors
import uvicorn
from fakesnow import info_schema, instance, macros
from sqlglot import exp
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

_RESULTS_KEPT = 16
_IN_PROGRESS = "333333"
_QUERIES = "/queries/v1/query-request"
_NO_OPERATIONS = (
    r"^\s*(grant|revoke)\b",
    r"^\s*alter\s+session\b",
    r"^\s*(create|alter|drop)\s+(or\s+replace\s+)?(warehouse|role|user|task|stream|pipe|storage\s+integration|masking\s+policy)\b",
    r"^\s*use\s+secondary\b",
    r"^\s*alter\s+table\s+\S+\s+(un)?set\b",
)
_QUOTED_STAGE = re.compile(r"""'@((?:"[^"]+"\.?)+)'""")
_DROP = re.compile(r"^\s*drop\s+(stage|file\s+format)\s+(?:if\s+exists\s+)?(\w+)\.(\w+)\.(\w+)\s*;?\s*$", re.IGNORECASE)
_TYPES = {"NUMBER(38, 0)": "DECIMAL(38, 0)", "FLOAT": "DOUBLE"}
_CATALOGUE = "_fs_global._fs_information_schema"
_TEMPORARY = re.compile(
    r"^(\s*(?:/\*.*?\*/\s*)?create\s+(?:or\s+replace\s+)?)(?:local\s+|global\s+)?temp(?:orary)?\s+(table|view)\s+(?=[\w\"]+\.[\w\"]+\.)",
    re.IGNORECASE | re.DOTALL,
)


class RecentResults(collections.OrderedDict[Any, Any]):
    """Results that a client may still fetch; the oldest go first."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > _RESULTS_KEPT:
            self.popitem(last=False)


def rewrite(sql: str) -> str:
    """The statement in the form that fakesnow understands."""
    sql = _QUOTED_STAGE.sub(lambda match: "@" + match[1].replace('"', ""), sql)
    dropped = _DROP.match(sql)
    if dropped:  # the catalogue is a table of fakesnow's own; it knows no DROP of these
        table = "_fs_stages" if dropped[1].lower() == "stage" else "_fs_file_formats"
        database, schema, name = (part.upper() for part in dropped.groups()[1:])
        place = f"database_name = '{database}' AND schema_name = '{schema}' AND name = '{name}'"
        return f"DELETE FROM {_CATALOGUE}.{table} WHERE {place}"
    return _TEMPORARY.sub(r"\1\2 ", sql)


def open_warehouse(folder: Path) -> instance.FakeSnow:
    """The warehouse whose databases lie in `folder`, all of them attached."""
    folder.mkdir(parents=True, exist_ok=True)
    stages = folder / "_stages"
    stages.mkdir(exist_ok=True)
    shutil.rmtree(fakesnow.transforms.stage.LOCAL_BUCKET_PATH, ignore_errors=True)  # it made one in /tmp
    fakesnow.transforms.stage.LOCAL_BUCKET_PATH = str(stages)
    real = duckdb.connect

    def connect(*args: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        connection = real(*args, **options)
        catalogue = str(folder / "_fs_global.duckdb").replace("'", "''")
        connection.execute(f"ATTACH '{catalogue}' AS _fs_global")
        return connection

    instance.duckdb.connect = connect
    try:
        warehouse = instance.FakeSnow(db_path=str(folder), nop_regexes=list(_NO_OPERATIONS))
    finally:
        instance.duckdb.connect = real
    warehouse.results_cache = RecentResults()
    for file in sorted(folder.glob("*.db")):
        path = str(file).replace("'", "''")
        warehouse.duck_conn.execute(f"ATTACH '{path}' AS {file.stem}")
        warehouse.duck_conn.execute(info_schema.per_db_creation_sql(file.stem))
        warehouse.duck_conn.execute(macros.creation_sql(file.stem))
    return warehouse


def define(warehouse: instance.FakeSnow, functions: Iterable[Mapping[str, Any]]) -> None:
    """Make SQL call these functions. Raises what the text of one raises when it is run."""
    for one in functions:
        space: dict[str, Any] = {"__name__": one["handler"]}
        exec(compile(one["source"], f"<{one['name']}>", "exec"), space)
        warehouse.duck_conn.create_function(
            inner_name(one["name"]),
            answering(space[one["handler"]], types=one["arguments"]),
            [_TYPES.get(type_, type_) for type_ in one["arguments"]],
            _TYPES.get(one["returns"], one["returns"]),
            null_handling="special",
        )


def answering(function: Callable[..., Any], *, types: list[str]) -> Callable[..., Any]:
    """The function as Snowflake calls it: not at all for a NULL, and with an int for a NUMBER without decimals."""
    whole = [type_ == "NUMBER(38, 0)" for type_ in types]

    @functools.wraps(function)
    def answer(*values: Any) -> Any:
        if any(value is None for value in values):
            return None
        return function(*(int(value) if cut else value for value, cut in zip(values, whole, strict=True)))

    return answer


def inner_name(name: str) -> str:
    """What DuckDB calls `database.schema.function`: its functions in Python lie in no schema of ours."""
    return "py_" + name.lower().replace(".", "__")


def called(expression: exp.Expression, *, known: frozenset[str]) -> exp.Expression:
    """The statement with calls of known functions, by their full names, as DuckDB finds them."""
    for dot in list(expression.find_all(exp.Dot)):
        call = dot.expression
        name = f"{dot.this.sql()}.{call.name}".replace('"', "").upper()
        if isinstance(call, exp.Anonymous) and name in known:
            dot.replace(exp.Anonymous(this=inner_name(name), expressions=call.expressions))
    return expression


def adapt(known: frozenset[str] = frozenset()) -> None:
    """Make fakesnow's cursor answer as Snowflake does where it matters to us; `known` are functions in Python."""
    execute = fakesnow.cursor.FakeSnowflakeCursor.execute
    transform = fakesnow.cursor.FakeSnowflakeCursor._transform

    def answer(self: Any, command: str, *args: Any, **options: Any) -> Any:
        try:
            return execute(self, rewrite(command), *args, **options)
        except snowflake.connector.errors.Error:
            raise
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:500]
            raise snowflake.connector.errors.ProgrammingError(msg=message, errno=1, sqlstate="XX000") from error

    fakesnow.cursor.FakeSnowflakeCursor.execute = answer
    fakesnow.cursor.FakeSnowflakeCursor._transform = lambda self, expression, params: transform(
        self, called(expression, known=known), params
    )
    fakesnow.cursor.transforms.numeric_agg_implicit_cast = lambda expression: expression


class Patient:
    """Answers a statement within `seconds`: with its result, or with the address at which to ask for it again."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]], *, seconds: float) -> None:
        self._answer = answer
        self._seconds = seconds
        self._running: dict[str, asyncio.Task[Response]] = {}

    async def ask(self, request: Request) -> Response:
        """A new statement."""
        await request.body()  # kept by the request: what runs on reads it when nobody sends any more
        return await self._first_of(uuid.uuid4().hex, asyncio.ensure_future(self._answer(request)))

    async def ask_again(self, request: Request) -> Response:
        """A statement that was not done yet; its result is given once."""
        name = request.path_params["name"]
        task = self._running.pop(name, None)
        if task is None:
            return JSONResponse({"data": None, "code": "000709", "message": f"no statement {name}", "success": False})
        return await self._first_of(name, task)

    async def _first_of(self, name: str, task: asyncio.Task[Response]) -> Response:
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        if done:
            return task.result()
        for left in [one for one, known in self._running.items() if known.done()][:-_RESULTS_KEPT]:
            del self._running[left]  # its client is gone
        self._running[name] = task
        again = {"getResultUrl": f"/queries/{name}/result", "queryId": name}
        return JSONResponse({"data": again, "code": _IN_PROGRESS, "message": None, "success": True})

    def routes(self) -> list[Route]:
        """Where statements are sent, and where one asks for them again."""
        return [
            Route(_QUERIES, self.ask, methods=["POST"]),
            Route("/queries/{name}/result", self.ask_again, methods=["GET"]),
        ]


def lay_out(warehouse: instance.FakeSnow, statements: list[str]) -> None:
    """Run the statements in order, before anybody can connect. Raises the connector's error for one that fails."""
    with warehouse.connect() as connection:
        for statement in statements:
            connection.cursor().execute(statement)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="listen on this address (default: loopback)")
    parser.add_argument("--port", type=int, required=True, help="listen at this port")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the databases")
    parser.add_argument("--first", type=json.loads, default=[], metavar="JSON", help="statements to run before serving")
    parser.add_argument("--functions", type=json.loads, default=[], metavar="JSON", help="functions that SQL may call")
    parser.add_argument(
        "--answer-within", type=float, default=40, metavar="SECONDS",
        help="answer a statement that takes longer with where its result will be (default: 40)",
    )  # fmt: skip
    options = parser.parse_args()
    adapt(frozenset(one["name"] for one in options.functions))
    warehouse = fakesnow.server.shared_fs = open_warehouse(options.data.resolve())
    define(warehouse, options.functions)
    connection = warehouse.connect()
    for statement in options.first:
        connection.cursor().execute(statement)
    application = fakesnow.server.app
    application.debug = False
    patient = Patient(fakesnow.server.query_request, seconds=options.answer_within)
    others = [route for route in application.router.routes if getattr(route, "path", "") != _QUERIES]
    healthy = Route("/healthz", lambda _: PlainTextResponse("ok"))
    application.router.routes[:] = [healthy, *patient.routes(), *others]
    uvicorn.run(application, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
