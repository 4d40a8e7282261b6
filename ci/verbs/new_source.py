"""`new-source`: the declaration of a source, its contract, its rights, and a test that passes."""

from __future__ import annotations

import re
from pathlib import Path

from ci.cli import Options, emit
from infra.environment import ROOT
from leandata.errors import LeandataError

KINDS = ("files", "http", "sql")
_NAME = re.compile(r"([a-z][a-z0-9_]{1,29})\.([a-z][a-z0-9_]{1,39})")
_CONTRACTS = Path("shared", "leandata", "contracts")
_DECLARED = Path("services", "airflow", "pipelines", "sources", "declared")
_MANIFEST = Path("services", "airflow", "service.toml")
_CONTRACT = """\
# What {name} promises. Types are those of leandata.contract: date, timestamp, integer, bigint, text, decimal(12,2), ...
name = "{name}"
owner = "data-team"
description = "What {name} holds."
key = ["id"]
freshness_hours = 27
{partition}
[[columns]]
name = "id"
type = "bigint"
description = "Which one it is"
minimum = 1

[[columns]]
name = "day"
type = "date"
description = "The day it is of"
"""
_PARTITION = {"files": 'partition = "_dt"\n', "http": "", "sql": 'partition = "day"\n'}
_DECLARATION = """\
# Where `{connection}` is, each environment says: [sources] in infra/environments/<environment>.toml
#   {connection} = "{address}"
kind = "{kind}"
connection = "{connection}"
owner = "data-team"
description = "Collect {name}."
schedule = "15 2 * * *"  # cron, UTC

[[part]]
dataset = "{name}"
{part}"""
_PARTS = {
    "files": 'paths = "{table}/*.csv"\nformat = "csv"  # or jsonl, parquet\n',
    "http": 'path = "{table}"\npaging = "page"  # or none, cursor, link\n',
    "sql": 'table = "{table}"\nby = "day"  # or cursor = "changed_at"; without either the table is collected whole\n',
}
_ADDRESSES = {
    "files": "file:///srv/drop/{connection} or s3://bucket/prefix",
    "http": "https://api.example.com/v1?token_file=/run/secrets/{connection}",
    "sql": "postgresql+psycopg://reader@host:5432/database?password_file=/run/secrets/{connection}",
}
_TEST = '''\
"""The source {source}: its declaration, and what its contract says of a row."""

from __future__ import annotations

from pipelines.sources.arriving import judge, table_of
from pipelines.sources.declaration import load

SOURCE = load("{source}")
PART = next(part for part in SOURCE.parts if part.dataset == "{name}")
GOOD = {{"id": 1, "day": "2026-11-23"}}


def test_a_row_as_the_source_gives_it_is_taken() -> None:
    assert judge(SOURCE.contract(PART), table_of([GOOD])).good.num_rows == 1


def test_a_row_that_breaks_the_contract_is_set_apart() -> None:
    found = judge(SOURCE.contract(PART), table_of([GOOD, {{**GOOD, "id": 0}}]))
    assert found.reasons == ("id is below 1",)
'''


def new_source(options: Options) -> int:
    """Write the files and say what comes next."""
    made = scaffold(options.name, options.kind, root=ROOT)
    if options.json:
        emit({"made": made})
        return 0
    print("\n".join(made))
    print("Now: describe the columns in the contract, write the address into [sources] of the environment's file, then")
    print("  make catalogue snapshot && make test SERVICE=airflow && make deploy")
    return 0


def scaffold(name: str, kind: str, *, root: Path) -> list[str]:
    """Write what a source needs below `root`; the paths, sorted. Raises LeandataError for a bad or taken name."""
    found = _NAME.fullmatch(name)
    if not found:
        raise LeandataError(f"{name!r} cannot name a source's dataset", hint="NAME is source.table, such as ads.spend")
    if kind not in KINDS:
        raise LeandataError(f"no kind {kind!r} of sources", hint=f"KIND is one of: {', '.join(KINDS)}")
    source, table = found.groups()
    words = {"name": name, "source": source, "table": table, "kind": kind, "connection": source}
    part, address = _PARTS[kind].format(**words), _ADDRESSES[kind].format(**words)
    files = {
        _CONTRACTS / f"{name}.toml": _CONTRACT.format(**words, partition=_PARTITION[kind]),
        _DECLARED / f"{source}.toml": _DECLARATION.format(**words, part=part, address=address),
        Path("services", "airflow", "tests", f"test_source_{source}.py"): _TEST.format(**words),
    }
    for path in files:
        if (root / path).exists():
            hint = "A further table is a further [[part]] in the declaration, and a contract of its own"
            raise LeandataError(f"there is {path.as_posix()} already", hint=hint)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    manifest = root / _MANIFEST
    manifest.write_text(allowed(manifest.read_text(encoding="utf-8"), name), encoding="utf-8")
    return sorted(path.as_posix() for path in (*files, _MANIFEST))


def allowed(manifest: str, name: str) -> str:
    """The manifest of a service that may also read and write this dataset in lake and warehouse."""
    before, *tables = re.split(r"(?m)^(?=\[)", manifest)
    changed = [
        re.sub(r"(?m)^(reads|writes) = \[(.*)\]$", lambda line: _with(line, name), table)
        if table.startswith(("[data.lake]", "[data.warehouse]"))
        else table
        for table in tables
    ]
    return "".join([before, *changed])


def _with(line: re.Match[str], name: str) -> str:
    names = sorted({*re.findall(r'"([^"]+)"', line[2]), name})
    quoted = ", ".join(f'"{one}"' for one in names)
    return f"{line[1]} = [{quoted}]"
