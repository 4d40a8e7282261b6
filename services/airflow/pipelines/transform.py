"""Transform with dbt: staging and marts, then their tests. What fails a test is not published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from leandata.datasets import dataset
from leandata.errors import ContractError, LakeError
from leandata.lake import Lake
from leandata.settings import Settings, WarehouseAddress
from leandata.warehouse import Warehouse

PROJECT = Path(__file__).with_name("dbt")
# dbt asks the warehouse from several threads: see `ready`.
_DBT = (
    "import sys; from leandata.connector import ready; ready();"
    " from dbt.cli.main import cli; sys.argv[0] = 'dbt'; cli()"
)
_TIMEOUT_SECONDS = 900
_FINE = ("success", "pass", "skipped", "no-op")


def build(settings: Settings, *, folder: Path) -> dict[str, int]:
    """Run `dbt build`; how many models and tests passed. dbt's own files go to `folder`.

    Raises ContractError with the first failed model or test in one line.
    """
    with Warehouse.connect(settings.warehouse) as warehouse:
        warehouse.ensure(dataset("shop.events"))  # there may be none yet, and models read them
    until = collected_until(settings).isoformat()
    result = dbt("build", address=settings.warehouse, folder=folder, until=until)
    results = folder / "target" / "run_results.json"
    problem = first_problem(json.loads(results.read_text(encoding="utf-8"))) if results.exists() else ""
    if result.returncode != 0 or problem:
        lines = [line.strip() for line in result.stdout.splitlines() if line.strip()] or ["dbt said nothing"]
        raise ContractError(problem or f"dbt failed: {' '.join(lines[-3:])[:400]}", where=str(folder))
    return counts(json.loads(results.read_text(encoding="utf-8")))


def dbt(
    *arguments: str, address: WarehouseAddress, folder: Path, until: str, project: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run a command of dbt for the warehouse at `address` and data until a day; its own files go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profiles.yml").write_text(json.dumps(profile(address)), encoding="utf-8")
    command = [
        *(sys.executable, "-c", _DBT),
        *("--no-version-check", "--no-send-anonymous-usage-stats", "--no-use-colors", *arguments),
        *("--project-dir", str(project), "--profiles-dir", str(folder), "--target-path", str(folder / "target")),
        *("--log-path", str(folder), "--vars", json.dumps({"until": until})),
    ]
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )


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
