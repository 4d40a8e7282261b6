"""The SQL of a pull request's part of Snowflake: clones first, then who may do what with them, and the way back."""

from __future__ import annotations

from collections.abc import Mapping

from ci.prenv.slice import Slice
from ci.programs import Program, Resource
from ci.snowflake_sql import identifier, sql, text

_CLONED = ("Database", "Schema", "FileFormatParquet", "StageExternalS3")
_SNOWFLAKE = "snowflake:index/"


def clone_sql(programs: Mapping[str, Program], part: Slice) -> str:
    """The statements that make it, in their order. A clone brings tables, schemas and what was granted on them.

    It brings neither the grants on the database itself nor external stages: those are made again from what is declared.
    Grants to roles of the original on cloned schemas are taken away before anybody else may use the clone.
    """
    lines = [f"-- {part.name}: zero-copy clones", *(f"{line};" for line in _clones(programs, part)), ""]
    rest = {stack: _without(program) for stack, program in programs.items()}
    return "\n".join(lines) + "\n" + _after(sql(rest))


def drop_sql(programs: Mapping[str, Program]) -> str:
    """The statements that take it away; nothing of the original is named in them."""
    order = (("ServiceUser", "USER"), ("Database", "DATABASE"), ("Warehouse", "WAREHOUSE"))
    order += (("ResourceMonitor", "RESOURCE MONITOR"), ("AccountRole", "ROLE"))
    found = [one for program in programs.values() for one in program.resources.values()]
    lines = [
        f"DROP {noun} IF EXISTS {identifier(name)};"
        for kind, noun in order
        for name in sorted(str(one.properties["name"]) for one in found if _is(one, kind))
    ]
    return "\n".join([*lines, ""])


def _clones(programs: Mapping[str, Program], part: Slice) -> list[str]:
    found = [one for program in programs.values() for one in program.resources.values()]
    databases = sorted(str(one.properties["name"]) for one in found if _is(one, "Database"))
    lines: list[str] = []
    for name in databases:
        original = name.removeprefix(part.prefix)
        lines.append(f"CREATE DATABASE {identifier(name)} CLONE {identifier(original)}")
        comment = " ".join(f"{key}={value}" for key, value in sorted(part.tags.items()))
        lines.append(f"ALTER DATABASE {identifier(name)} SET DATA_RETENTION_TIME_IN_DAYS = 1 COMMENT = {text(comment)}")
    for one in sorted(found, key=lambda one: one.urn):
        if _is(one, "StageExternalS3"):
            place = ".".join(identifier(one.properties[key]) for key in ("database", "schema", "name"))
            lines.append(f"DROP STAGE IF EXISTS {place}")
    return lines


def _without(program: Program) -> Program:
    """The program without what a clone brings; stages are made again."""
    cloned = set(_CLONED) - {"StageExternalS3"}
    kept = {urn: one for urn, one in program.resources.items() if not any(_is(one, kind) for kind in cloned)}
    return Program(resources=kept)


def _after(statements: str) -> str:
    """Statements that may be repeated: a clone that is brought up to date finds its roles there."""
    made = statements.replace("CREATE ROLE ", "CREATE ROLE IF NOT EXISTS ")
    made = made.replace("CREATE USER ", "CREATE USER IF NOT EXISTS ").replace(
        "CREATE STAGE ", "CREATE OR REPLACE STAGE "
    )
    made = made.replace("CREATE WAREHOUSE ", "CREATE WAREHOUSE IF NOT EXISTS ")
    return made.replace("CREATE RESOURCE MONITOR ", "CREATE OR REPLACE RESOURCE MONITOR ")


def _is(one: Resource, kind: str) -> bool:
    return one.type.startswith(_SNOWFLAKE) and one.type.rpartition(":")[2] == kind
