"""Transform with dbt what has changed: staging and marts, then their tests. What fails a test is not published."""

from __future__ import annotations

import contextlib
import functools
import json
import uuid
from collections.abc import Generator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from leandata.database import connect
from leandata.datasets import dataset
from leandata.errors import ContractError, LakeError
from leandata.lake import Lake
from leandata.serving.locks import Lock
from leandata.settings import Settings
from leandata.warehouse import Warehouse
from pipelines import built
from pipelines.graph import Graph, read, state
from pipelines.running_dbt import Answer, RunningDbt

PROJECT = Path(__file__).with_name("dbt")
_FINE = ("success", "pass", "skipped", "no-op")


def build(
    settings: Settings, *, folder: Path, full: bool = False, project: Path = PROJECT, dbt: RunningDbt | None = None
) -> dict[str, int]:
    """Build what has changed since it was built, all where it is `full`; how many models and tests passed, {} for none.

    What is built, and why, is said line by line. dbt's own files go to `folder`; `dbt` may be running already. Two
    builds at once follow each other. Raises ContractError with the first failed model or test in one line.
    """
    with _alone(settings), contextlib.nullcontext(dbt) if dbt else RunningDbt(folder) as running:
        until = collected_until(settings).isoformat()
        ask = functools.partial(running.run, address=settings.warehouse, until=until, project=project)
        with Warehouse.connect(settings.warehouse) as warehouse:
            warehouse.ensure(dataset("shop.events"))  # there may be none yet, and models read them
            known = built.noted(warehouse)
            same = known.graph is not None and known.graph.state == state(project)
            graph = known.graph if known.graph and same else _parsed(ask("parse"), folder, project=project)
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
        found = _passed(ask("build", *(["--full-refresh"] if full else []), *names), folder=folder)
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
        connection.execute("SELECT pg_advisory_lock(%s)", [Lock.BUILD])
        yield


def _parsed(answer: Answer, folder: Path, *, project: Path) -> Graph:
    if not answer.fine:
        raise ContractError(f"dbt failed: {answer.end}", where=str(folder))
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    return read(manifest, project=project)


def _passed(answer: Answer, *, folder: Path) -> dict[str, int]:
    results = folder / "target" / "run_results.json"
    found = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {"results": []}
    problem = first_problem(found)
    if not answer.fine or problem:
        raise ContractError(problem or f"dbt failed: {answer.end}", where=str(folder))
    return counts(found)


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
