"""`drill`: restore the newest backup into a throwaway environment and see whether it would have saved the day."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci import nested
from ci.backup import folders, servers
from ci.backup.manifest import Manifest
from ci.cli import Options, emit
from ci.verbs.status import age
from infra.environment import Environment

_PORTS = 20


def drill(options: Options) -> int:
    """Restore, look, remove; 1 when a check fails. Raises LeandataError when there is no backup that is whole."""
    environment = Environment.current()
    if environment.has("kubernetes"):
        return _elsewhere(environment, options)
    place = folders.default_folder(environment)
    folder = folders.asked_for(getattr(options, "from"), environment)
    manifest = Manifest.read(folder, environment=environment.name)
    base = servers.free_port(count=_PORTS)
    state = environment.state.with_name(f"{environment.state.name}-drill-{os.getpid()}")
    throwaway = nested.settings(state, base)
    started = time.monotonic()
    try:
        restored = _run(environment, throwaway, "restore", "--from", str(folder))
        seconds = time.monotonic() - started
        checks = {"restored, totals to the cent": bool(restored.get("ok"))}
        report = _run(environment, throwaway, "report", "--no-open")
        checks["report"] = bool(report.get("files"))
        checks["api"] = _api(environment, state, base)
    finally:
        _run(environment, throwaway, "destroy", "--data")
        shutil.rmtree(state, ignore_errors=True)
        shutil.rmtree(state.with_name(f"{state.name}-backups"), ignore_errors=True)
    answer = {
        "ok": all(checks.values()),
        "backup": str(folder),
        "checks": checks,
        "data_age_seconds": round((datetime.now(UTC) - datetime.fromisoformat(manifest.started)).total_seconds()),
        "problems": [*restored.get("differences", []), *filter(None, (restored.get("error"), report.get("error")))],
        "restore_seconds": round(seconds, 1),
    }
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    (place / "drill.json").write_text(json.dumps({"version": 1, **answer}, indent=2, sort_keys=True) + "\n")
    if options.json:
        emit(answer)
    else:
        _show(answer)
    return 0 if answer["ok"] else 1


def _elsewhere(environment: Environment, options: Options) -> int:
    said = f"In {environment.name} a drill is done by hand: `make backup` writes the commands. Nothing was proven."
    if options.json:
        emit({"ok": False, "error": said})
    else:
        print(said)
    return 1


def _run(environment: Environment, throwaway: dict[str, str], *arguments: str) -> dict[str, Any]:
    """What a verb answers in the throwaway environment, `error` too where it failed; empty when it answered nothing."""
    answer, _ = nested.answer(environment.root, throwaway, *arguments, "--env", environment.name)
    return answer or {}


def _api(environment: Environment, state: Path, base: int) -> bool:
    """Whether the restored API answers with sales to who shows its key."""
    port = base + environment.file.ports.offsets["api"]
    try:
        key = (state / "secrets" / "api-key").read_text(encoding="utf-8").strip()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/sales/weekly", headers={"X-API-Key": key})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status == 200 and bool(json.load(answer)["weeks"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _show(answer: dict[str, Any]) -> None:
    failed = sorted(name for name, good in answer["checks"].items() if not good)
    verdict = "The drill passed" if answer["ok"] else f"THE DRILL FAILED ({', '.join(failed)})"
    print("".join(f"error: {one}\n" for one in answer["problems"]), end="")
    print(f"{verdict}: restored in {answer['restore_seconds']}s, data {age(answer['data_age_seconds'])} old.")
