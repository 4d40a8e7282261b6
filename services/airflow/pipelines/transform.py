"""Transform with dbt what has changed: staging and marts, then their tests. What fails a test is not published."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Generator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from leandata.database import connect
from leandata.datasets import dataset
from leandata.errors import ContractError, LakeError
from leandata.lake import Lake
from leandata.settings import Settings, WarehouseAddress
from leandata.warehouse import Warehouse
from pipelines import built
from pipelines.graph import Graph, read, state

PROJECT = Path(__file__).with_name("dbt")
# dbt asks the warehouse from several threads: see `ready`.
# When whoever started it is gone, its input ends, and it ends as well: nobody would know what it builds.
_DBT = (
    "import os, sys, threading; threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start();"
    " from leandata.connector import ready; ready();"
    " from dbt.cli.main import cli; sys.argv[0] = 'dbt'; cli()"
)
_TIMEOUT_SECONDS = 900
_LOCK = 7205122
_FINE = ("success", "pass", "skipped", "no-op")


def build(settings: Settings, *, folder: Path, full: bool = False, project: Path = PROJECT) -> dict[str, int]:
    """Build what has changed since it was built, all where it is `full`; how many models and tests passed, {} for none.

    What is built, and why, is said line by line. dbt's own files go to `folder`. Two builds at once follow each other.
    Raises ContractError with the first failed model or test in one line.
    """
    with _alone(settings):
        until = collected_until(settings).isoformat()
        with Warehouse.connect(settings.warehouse) as warehouse:
            warehouse.ensure(dataset("shop.events"))  # there may be none yet, and models read them
            known = built.noted(warehouse)
            same = known.graph is not None and known.graph.state == state(project)
            graph = known.graph if known.graph and same else _parsed(settings, folder, until=until, project=project)
            held, now = built.contents(warehouse, graph.nodes), datetime.now(UTC).isoformat()
            plan = built.decide(graph, known.nodes, held, until=until, now=now, full=full)
            for name, why in plan.reasons.items():
                print(f"{built.short(name)}: {why}")
            if not plan.reasons:
                print(f"nothing has changed: {len(graph.nodes)} models and sources are as they were built")
                if not same or known.until != until:
                    built.note(warehouse, graph, plan, held, until=until, build=uuid.uuid4().hex)
                return {}
            built.forget(warehouse, plan.reasons)
        every = len(plan.reasons) == len(graph.nodes)
        names = [] if every else ["--select", *(graph.nodes[name].select for name in plan.reasons)]
        again = ["--full-refresh"] if full else []
        result = dbt("build", *again, *names, address=settings.warehouse, folder=folder, until=until, project=project)
        found = _passed(result, folder=folder)
        with Warehouse.connect(settings.warehouse) as warehouse:
            made = {name: graph.nodes[name] for name in plan.reasons if graph.nodes[name].kind != "source"}
            held |= built.contents(warehouse, made)
            built.note(warehouse, graph, plan, held, until=until, build=uuid.uuid4().hex)
    return found


@contextlib.contextmanager
def _alone(settings: Settings) -> Generator[None]:
    """While nobody else builds. A build that was killed holds nobody up: the server lets go with its connection."""
    with connect(settings.serving, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        yield


def _parsed(settings: Settings, folder: Path, *, until: str, project: Path) -> Graph:
    result = dbt("parse", address=settings.warehouse, folder=folder, until=until, project=project)
    if result.returncode != 0:
        raise _failed(result, folder=folder)
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    return read(manifest, project=project)


def _passed(result: subprocess.CompletedProcess[str], *, folder: Path) -> dict[str, int]:
    results = folder / "target" / "run_results.json"
    found = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {"results": []}
    problem = first_problem(found)
    if result.returncode != 0 or problem:
        raise ContractError(problem, where=str(folder)) if problem else _failed(result, folder=folder)
    return counts(found)


def _failed(result: subprocess.CompletedProcess[str], *, folder: Path) -> ContractError:
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()] or ["dbt said nothing"]
    return ContractError(f"dbt failed: {' '.join(lines[-3:])[:400]}", where=str(folder))


def dbt(
    *arguments: str, address: WarehouseAddress, folder: Path, until: str, project: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run a command of dbt for the warehouse at `address` and data until a day; its own files go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "target" / "run_results.json").unlink(missing_ok=True)
    (folder / "profiles.yml").write_text(json.dumps(profile(address)), encoding="utf-8")
    command = [
        *(sys.executable, "-c", _DBT),
        *("--no-version-check", "--no-send-anonymous-usage-stats", "--no-use-colors", *arguments),
        *("--project-dir", str(project), "--profiles-dir", str(folder), "--target-path", str(folder / "target")),
        *("--log-path", str(folder), "--vars", json.dumps({"until": until})),
    ]
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    ours, ends = os.pipe()
    try:
        return subprocess.run(
            command, cwd=folder, env=environ, stdin=ours, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS,
            check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(ends)


def collected_until(settings: Settings) -> date:
    """The last day of orders that the lake holds, be it empty. Raises LakeError when it holds none."""
    known = [day for day in Lake(settings.lake.raw).latest(dataset("shop.orders")) if day]
    if not known:
        raise LakeError("no orders were collected yet", where=settings.lake.raw, hint="Run collect_shop first")
    return max(known)


def order_files(settings: Settings) -> list[str]:
    """The lake's newest files of orders, of all days."""
    latest = Lake(settings.lake.raw).latest(dataset("shop.orders"))
    return [file for manifest in latest.values() for file in manifest.files]


def profile(address: WarehouseAddress) -> dict[str, Any]:
    """dbt's profile for the warehouse; a private key is named by its file."""
    output: dict[str, Any] = {
        "type": "snowflake",
        "account": address.account,
        "user": address.user,
        "database": "STAGING",
        "schema": "SHOP",
        "threads": 4,
        "reuse_connections": True,
    }
    if address.host:
        output |= {"host": address.host, "port": address.port, "protocol": address.protocol, "password": "none"}
    named = {"role": address.role, "warehouse": address.warehouse, "private_key_path": address.private_key_file}
    output |= {name: str(value) for name, value in named.items() if value}
    return {"leandata": {"target": "platform", "outputs": {"platform": output}}}


def first_problem(results: Mapping[str, Any]) -> str:
    """The first model or test that did not pass, as one line; "" when all did."""
    for found in results["results"]:
        if found["status"] not in _FINE and found["status"] != "warn":
            name = found["unique_id"].split(".")[2]
            said = " ".join(str(found.get("message") or found["status"]).split())[:300]
            return f"{found['unique_id'].split('.')[0]} {name} failed: {said}"
    return ""


def counts(results: Mapping[str, Any]) -> dict[str, int]:
    """How many models and tests passed."""
    kinds = [found["unique_id"].split(".")[0] for found in results["results"]]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
