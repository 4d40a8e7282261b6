"""`bench`: deploy into a state folder of its own, measure, remove it; figures as a table and as JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ci.bench.api import TARGETS as API_TARGETS
from ci.bench.api import measure as api
from ci.bench.cloud import TARGETS as CLOUD_TARGETS
from ci.bench.cloud import measure as cloud
from ci.bench.comparing import TARGETS as COMPARING_TARGETS
from ci.bench.comparing import measure as comparing
from ci.bench.dashboards import TARGETS as DASH_TARGETS
from ci.bench.dashboards import measure as dashboards
from ci.bench.exports import TARGETS as EXPORT_TARGETS
from ci.bench.exports import measure as exports
from ci.bench.features import TARGETS as FEATURE_TARGETS
from ci.bench.features import measure as features
from ci.bench.lake_to_warehouse import measure as lake_to_warehouse
from ci.bench.pipelines import TARGETS as PIPELINE_TARGETS
from ci.bench.pipelines import measure as pipelines
from ci.bench.previews import TARGETS as PREVIEW_TARGETS
from ci.bench.previews import measure as previews
from ci.bench.sizes import TARGETS as SIZE_TARGETS
from ci.bench.sizes import measure as sizes
from ci.cli import Options, emit
from infra.environment import ROOT
from infra.provider import health
from infra.provider.supervisor import Supervisor
from infra.testing.parts import free_port
from leandata.errors import LeandataError

_PATIENCE_SECONDS = 300.0
_TARGETS = {
    "deploy_seconds": "at most 60",
    "deploy_to_airflow_standalone": "at most 1.2",
    "first_report_seconds": "at most 150",
    "noop_seconds": "at most 8",
    "status_seconds": "at most 2",
    "destroy_seconds": "at most 15",
    "memory_gb": "at most 2.0",
    "restart_seconds": "at most 10",
    "restart_airflow_seconds": "at most 45",
    "load_to_duckdb": "at least 0.70",
    **API_TARGETS,
    **CLOUD_TARGETS,
    **COMPARING_TARGETS,
    **DASH_TARGETS,
    **EXPORT_TARGETS,
    **FEATURE_TARGETS,
    **PIPELINE_TARGETS,
    **PREVIEW_TARGETS,
    **SIZE_TARGETS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """A state folder and ports of the bench's own."""

    state: Path
    base: int

    def ci(self, *arguments: str) -> tuple[float, str]:
        """Run `python3 -m ci ...`, as a user would: seconds and output. Raises LeandataError when it fails."""
        own = {"LEANDATA_STATE": str(self.state), "LEANDATA_PORT_BASE": str(self.base), "CI": "true"}
        started = time.monotonic()
        result = subprocess.run(
            ["python3", "-m", "ci", *arguments],
            cwd=ROOT,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        if result.returncode != 0:
            raise LeandataError(f"{' '.join(arguments)} failed: {(result.stderr or result.stdout).strip()[-400:]}")
        return seconds, result.stdout

    def first_report(self, *, started: float) -> float:
        """Seconds from `started` until the first mail is kept."""
        while not list((self.state / "mail").glob("*.eml")):
            if time.monotonic() - started > _PATIENCE_SECONDS:
                raise LeandataError("no report was mailed")
            time.sleep(0.2)
        return time.monotonic() - started

    def restarts(self) -> dict[str, float]:
        """Kill one process after the other; seconds until each is back and healthy. Raises LeandataError."""
        supervisor = Supervisor(self.state)
        took: dict[str, float] = {}
        for name in supervisor.names():
            before = supervisor.one(name)
            asked = (supervisor.specification(name) or {}).get("health", {"kind": "running"})
            if before is None or not before.pid:
                raise LeandataError(f"{name} does not run")
            started = time.monotonic()
            os.kill(before.pid, signal.SIGKILL)
            while not (
                (now := supervisor.one(name)) and now.pid not in (0, before.pid) and health.healthy(asked, timeout=1.0)
            ):
                if time.monotonic() - started > _PATIENCE_SECONDS:
                    raise LeandataError(f"{name} does not come back")
                time.sleep(0.1)
            took[name] = time.monotonic() - started
        return took


def bench(options: Options) -> int:
    """Measure what was asked for (one or more of `known`; all of them by default) and print it."""
    asked = {name.strip() for name in options.only.split(",") if name.strip()}
    known: dict[str, Callable[[Path], dict[str, float]]] = {
        "airflow": airflow_standalone,
        "api": api,
        "cloud": cloud,
        "compare": comparing,
        "dash": dashboards,
        "exports": exports,
        "features": features,
        "load": lake_to_warehouse,
        "pipelines": pipelines,
        "platform": platform,
        "previews": previews,
        "sizes": sizes,
    }
    strange = sorted(asked - set(known))
    if strange:
        raise LeandataError(f"unknown measure {strange[0]!r}", hint=f"ONLY is one or more of: {', '.join(known)}")
    figures: dict[str, float] = {}
    for name, measure in known.items():
        if not asked or name in asked:
            with tempfile.TemporaryDirectory(prefix="leandata-bench-") as folder:
                figures |= measure(Path(folder))
    if {"deploy_seconds", "airflow_standalone_seconds"} <= set(figures):
        figures["deploy_to_airflow_standalone"] = figures["deploy_seconds"] / figures["airflow_standalone_seconds"]
    rounded = {name: round(value, 2) for name, value in sorted(figures.items())}
    if options.out:
        Path(options.out).write_text(json.dumps({"version": 1, "figures": rounded}, indent=2) + "\n", encoding="utf-8")
    if options.json:
        emit({"figures": rounded, "targets": _TARGETS})
    else:
        for name, value in rounded.items():
            print(f"{name:<32} {value:>12.2f}   {_TARGETS.get(name, '')}")
    return 0


def platform(folder: Path) -> dict[str, float]:
    """The platform from an empty state folder to its end."""
    found = Bench(state=folder / "state", base=free_port(count=20))
    started = time.monotonic()
    try:
        deploy, _ = found.ci("deploy")
        report = found.first_report(started=started)
        restarts = found.restarts()
        time.sleep(20)  # what follows the report has ended, and everything idles
        noop, _ = found.ci("deploy")
        status, _ = found.ci("status")
        _, answer = found.ci("status", "--json")
        memory = sum(service["memory"] for service in json.loads(answer)["services"])
    finally:
        destroy, _ = found.ci("destroy", "--data")
    return {
        "deploy_seconds": deploy,
        "first_report_seconds": report,
        "noop_seconds": noop,
        "status_seconds": status,
        "destroy_seconds": destroy,
        "memory_gb": memory / 1e9,
        "restart_seconds": max(took for name, took in restarts.items() if not name.startswith("airflow")),
        "restart_airflow_seconds": max(took for name, took in restarts.items() if name.startswith("airflow")),
    }


def airflow_standalone(folder: Path) -> dict[str, float]:
    """Seconds until `airflow standalone` alone, from an empty folder, is healthy in all its parts."""
    port = free_port()
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
    }
    started = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"], env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while not _all_healthy(port):
            if process.poll() is not None or time.monotonic() - started > _PATIENCE_SECONDS:
                raise LeandataError(
                    "airflow standalone did not start", where=" ".join(health.last_lines(folder / "log"))
                )
            time.sleep(0.5)
        return {"airflow_standalone_seconds": time.monotonic() - started}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def _all_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=2) as answer:
            parts = json.load(answer)
    except (OSError, ValueError):
        return False
    return all(parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))
