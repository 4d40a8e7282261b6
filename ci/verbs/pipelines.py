"""`run` and `report`: pipelines from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ci.cli import Options, emit
from infra.environment import Environment
from infra.provider.supervisor import Supervisor
from leandata.clock import Week
from leandata.errors import LeandataError
from leandata.settings import read_secret

_POLL_SECONDS = 1.0
_ENDED = ("success", "failed")


def run(options: Options) -> int:
    """Start a pipeline and show its tasks until it has ended; 1 when it failed."""
    if not options.pipeline:
        raise LeandataError("no pipeline was named", hint="For example: make run PIPELINE=collect_shop DAY=2026-11-16")
    span = days(options)
    if options.full and span:
        raise LeandataError("days and FULL exclude each other", hint="FULL=yes is for transform and publish_serving")
    airflow = Airflow.of(Environment.current())
    if options.full and "full" not in airflow.call("GET", f"/api/v2/dags/{options.pipeline}/details")["params"]:
        raise LeandataError(
            f"{options.pipeline} always does everything", hint="Leave FULL out; it may take FROM and TO"
        )
    conf = {**span, "full": True} if options.full else span
    started = airflow.call("POST", f"/api/v2/dags/{options.pipeline}/dagRuns", {"logical_date": None, "conf": conf})
    run_id = started["dag_run_id"]
    state = ""
    while state not in _ENDED:
        time.sleep(_POLL_SECONDS)
        state = airflow.call("GET", f"/api/v2/dags/{options.pipeline}/dagRuns/{run_id}")["state"]
        tasks = airflow.call("GET", f"/api/v2/dags/{options.pipeline}/dagRuns/{run_id}/taskInstances")
        if not options.json:
            _show(tasks["task_instances"], state)
    if options.json:
        emit({"ok": state == "success", "run": run_id, "state": state, "span": span})
    elif state == "success":
        print(f"{options.pipeline} succeeded; what follows from its data has been started.")
    else:
        print(
            f"error: {options.pipeline} failed; see {airflow.url}/dags/{options.pipeline}/runs/{run_id}",
            file=sys.stderr,
        )
    return 0 if state == "success" else 1


def days(options: Options) -> dict[str, str]:
    """The range that the options name: a day, a week, or from and to; empty when they name none."""
    first, last = getattr(options, "from"), options.to
    if sum(map(bool, (options.day, options.week, first or last))) > 1:
        raise LeandataError("a day, a week and a range exclude each other", hint="Give one of DAY, WEEK, FROM with TO")
    if options.week:
        week = Week.parse(options.week)
        return {"from": week.start.isoformat(), "to": week.end.isoformat()}
    first, last = first or options.day, last or options.day
    for text in (first, last):
        if text:
            _day(text)
    if first and last and _day(first) > _day(last):
        raise LeandataError(f"the range ends ({last}) before it begins ({first})")
    return {name: text for name, text in (("from", first), ("to", last)) if text}


def report(options: Options) -> int:
    """Render the report with the settings of the running platform, and open it."""
    environment = Environment.current()
    supervisor = Supervisor(environment.state)
    specification = supervisor.specification("airflow-scheduler")
    if specification is None:
        raise LeandataError(
            "Airflow is not deployed, so there are no settings to report with", hint="Run `make deploy`"
        )
    folder = environment.state / "reports"
    command = [sys.executable, "-m", "pipelines.report", "--out", str(folder), "--json"]
    command += ["--week", options.week] if options.week else []
    command += ["--against", options.against] if options.against else []
    result = subprocess.run(
        command, env=supervisor.environment(specification), capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise LeandataError(result.stderr.strip().removeprefix("error: ") or "the report was not made")
    files: dict[str, str] = json.loads(result.stdout)["files"]
    if options.json:
        emit({"files": files})
        return 0
    print(Path(files.get("against", files["txt"])).read_text(encoding="utf-8"))
    print("\n".join(f"{name:<5} {path}" for name, path in files.items()))
    if not options.no_open and sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform == "darwin"):
        webbrowser.open(Path(files["html"]).as_uri())
    return 0


class Airflow:
    """Airflow's REST API, with a token of the admin's."""

    @classmethod
    def of(cls, environment: Environment) -> Airflow:
        """The one that runs on this machine."""
        url = f"http://127.0.0.1:{environment.port('airflow-api')}"
        return cls(url, password=read_secret(environment.state / "secrets" / "airflow-password"))

    def __init__(self, url: str, *, password: str) -> None:
        self.url = url
        answer = self._request("POST", "/auth/token", {"username": "admin", "password": password})
        self._token = answer["access_token"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request's answer. Raises LeandataError when Airflow does not answer or refuses."""
        return self._request(method, path, body, token=self._token)

    def _request(self, method: str, path: str, body: dict[str, Any] | None, *, token: str = "") -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise LeandataError(f"Airflow refused: {_detail(error)}", where=path) from error
        except OSError as error:
            raise LeandataError("Airflow does not answer", where=self.url, hint="See `make status`") from error


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])[:300]
    except (ValueError, KeyError):
        return f"HTTP {error.code}"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LeandataError(f"{text!r} is no day", hint="Write it like 2026-11-16") from None


def _show(tasks: list[dict[str, Any]], state: str) -> None:
    done = sum(task["state"] == "success" for task in tasks)
    running = sorted({task["task_id"] for task in tasks if task["state"] == "running"})
    moment = datetime.now(UTC).strftime("%H:%M:%S")
    print(f"{moment}  {state:<8} {done}/{len(tasks)} tasks done  {' '.join(running)}", flush=True)
