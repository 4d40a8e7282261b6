"""Deploying on the real engine: repeated, killed, at the same time, against what is in the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.provider import health
from infra.testing.checkout import Checkout, free_base
from infra.testing.parts import free_port, running

pytestmark = [pytest.mark.integration, pytest.mark.stacks("database", "lake", "mail")]
SMALL = "lake,mail"


@pytest.fixture
def checkout(tmp_path: Path) -> Generator[Checkout]:
    found = Checkout(state=tmp_path / "st ate", base=free_base())
    yield found
    found.supervisor.shutdown()
    assert found.supervisor.marked() == [], "a test has left a process"


def test_deploying_twice_changes_nothing_the_second_time(checkout: Checkout) -> None:
    first = checkout.json("deploy", "--stack", SMALL)
    assert first["ok"]
    assert first["stacks"]["lake"]["changes"] == {"create": 3}
    assert first["stacks"]["mail"]["changes"] == {"create": 1}
    second = checkout.json("deploy", "--stack", SMALL)
    assert second["ok"]
    assert [stack["changes"] for stack in second["stacks"].values()] == [{}, {}]


def test_a_dry_run_shows_what_would_be_made_and_makes_nothing(checkout: Checkout) -> None:
    result = checkout.run("deploy", "--dry")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "create   Process postgres" in result.stdout
    assert "create   Process airflow-scheduler" in result.stdout
    assert result.stdout.rstrip().endswith("Nothing was changed.")
    assert not (checkout.state / "postgres").exists()
    assert checkout.supervisor.marked() == []


def test_drift_is_found_and_mended_by_the_next_deployment(checkout: Checkout) -> None:
    assert checkout.json("deploy", "--stack", SMALL)["ok"]
    shutil.rmtree(checkout.state / "lake" / "models")
    (checkout.state / "lake" / "raw").chmod(0o700)
    checkout.supervisor.remove("mail")
    again = checkout.json("deploy", "--stack", SMALL)
    assert again["stacks"]["lake"]["changes"] == {"create": 1, "update": 1}
    assert again["stacks"]["mail"]["changes"] == {"create": 1}
    assert (checkout.state / "lake" / "models").is_dir()
    assert health.accepts(checkout.base + 10)


def test_after_a_reboot_one_deployment_brings_everything_back(checkout: Checkout) -> None:
    assert checkout.json("deploy", "--stack", "mail")["ok"]
    while left := checkout.supervisor.marked():
        for process in sorted(left, key=lambda found: "supervisord" not in " ".join(found.cmdline())):
            process.kill()
        time.sleep(0.2)
    assert not health.accepts(checkout.base + 10)
    assert checkout.json("deploy", "--stack", "mail")["ok"]
    assert health.accepts(checkout.base + 10)


def test_of_two_deployments_at_once_one_goes_on_and_the_other_says_who_holds_the_lock(checkout: Checkout) -> None:
    runs = [checkout.start("deploy", "--stack", "database") for _ in range(2)]
    ends = [(run.communicate(timeout=120), run.returncode) for run in runs]
    assert sorted(code for _, code in ends) == [0, 1], ends
    (loser,) = [errors for (_, errors), code in ends if code == 1]
    assert re.search(r"error: local is being deployed since \S+ by pid \d+ \(\S+@\S+\)", loser), loser
    assert checkout.json("deploy", "--stack", "database")["ok"]


@pytest.mark.parametrize("moment", [0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0])
def test_a_deployment_killed_at_any_moment_is_finished_by_the_next(checkout: Checkout, moment: float) -> None:
    run = checkout.start("deploy", "--stack", "database,lake,mail")
    time.sleep(moment)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    again = wait_for_lock(checkout)
    assert again.returncode == 0, again.stdout + again.stderr
    answer = json.loads(again.stdout)
    assert answer["ok"], answer
    states = [
        json.loads((checkout.state / "engine" / "backend" / ".pulumi" / "stacks" / name / "local.json").read_text())
        for name in ("database", "lake", "mail")
    ]
    assert all(not state["checkpoint"]["latest"].get("pending_operations") for state in states)
    last = checkout.json("deploy", "--stack", "database,lake,mail")
    assert all(stack["changes"] == {} for stack in last["stacks"].values()), last


def wait_for_lock(checkout: Checkout) -> subprocess.CompletedProcess[str]:
    """The killed run's engine ends within a second or two; until then its lock is held, and that is said."""
    for _ in range(20):
        again = checkout.run("deploy", "--stack", "database,lake,mail", "--json")
        if "is being deployed since" not in again.stdout:
            return again
        time.sleep(0.5)
    raise AssertionError("the lock of a killed deployment is never free")


def test_an_interrupted_deployment_ends_in_order_and_the_next_goes_on(checkout: Checkout) -> None:
    run = checkout.start("deploy", "--stack", "database")
    time.sleep(1.5)
    run.send_signal(signal.SIGINT)
    output, errors = run.communicate(timeout=60)
    assert "Traceback" not in output + errors
    assert checkout.json("deploy", "--stack", "database")["ok"]


def test_a_taken_port_is_told_before_anything_is_changed(checkout: Checkout) -> None:
    port = checkout.base + 11
    command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with running(command, ready=lambda: health.accepts(port), log=Path(os.devnull)) as other:
        result = checkout.run("deploy")
    assert result.returncode == 1
    assert f"error: port {port} of postgres is taken by " in result.stderr
    assert f"(pid {other.pid})" in result.stderr
    assert not (checkout.state / "engine" / "backend").exists()


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (
            ["deploy", "--env", "prdo"],
            {},
            "error: unknown environment 'prdo'. ENV is one of: cluster, dev, local, prod, staging",
        ),
        (["deploy"], {"LEANDATA_PORT_BASE": "80"}, "error: LEANDATA_PORT_BASE is '80'"),
        (["deploy"], {"LEANDATA_FREE_BYTES": str(2**60)}, "of disk space is free, 1048576.0TiB are needed"),
        (["restart", "--service", "api"], {}, "error: nothing runs"),
    ],
)
def test_bad_input_gives_one_clear_line_and_code_1(
    checkout: Checkout, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    result = checkout.run(*arguments, **environ)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr + result.stdout


def test_a_state_folder_that_cannot_be_written_is_named(checkout: Checkout) -> None:
    result = checkout.run("deploy", LEANDATA_STATE="/proc/leandata")
    assert result.returncode == 1
    assert "error: the state folder cannot be written" in result.stderr
    assert "/proc/leandata" in result.stderr


def test_an_error_for_machines_is_json(checkout: Checkout) -> None:
    result = checkout.run("deploy", "--env", "prdo", "--json")
    assert json.loads(result.stdout) == {
        "version": 1,
        "error": "unknown environment 'prdo'. ENV is one of: cluster, dev, local, prod, staging",
    }


def test_a_process_that_cannot_start_fails_its_stack_with_the_end_of_its_log(
    checkout: Checkout, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".leandata", "__pycache__"))
    launcher = copy / "infra" / "standins" / "mail" / "__main__.py"
    launcher.write_text("raise SystemExit('the mail catcher is broken')")
    broken = Checkout(state=checkout.state, base=checkout.base, root=copy)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    (copy / "infra/standins/snowflake/.venv").symlink_to(ROOT / "infra/standins/snowflake/.venv")
    result = broken.run("deploy", "--stack", "mail", PYTHONPATH=f"{copy}:{copy / 'shared'}")
    assert result.returncode == 1
    assert "mail: the process mail keeps ending; its log ends: the mail catcher is broken" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    mended = checkout.json("deploy", "--stack", "mail")
    assert mended["ok"]
    assert mended["stacks"]["mail"]["changes"] == {"update": 1}


def test_two_environments_run_side_by_side_and_are_destroyed_alone(checkout: Checkout, tmp_path: Path) -> None:
    other = Checkout(state=tmp_path / "other", base=free_base())
    assert checkout.json("deploy", "--stack", "mail")["ok"]
    assert other.json("deploy", "--stack", "mail")["ok"]
    assert other.run("destroy", "--data").returncode == 0
    assert not other.state.exists()
    assert health.accepts(checkout.base + 10)


def test_destroying_keeps_the_data_says_so_and_a_new_deployment_finds_it(checkout: Checkout) -> None:
    assert checkout.json("deploy", "--stack", "lake,database")["ok"]
    (checkout.state / "lake" / "raw" / "file").write_text("data")
    result = checkout.run("destroy")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "lake, logs, postgres, releases, secrets. `make destroy DATA=yes` removes them too." in result.stdout
    assert checkout.supervisor.marked() == []
    again = checkout.json("deploy", "--stack", "lake,database")
    assert again["ok"], again
    assert (checkout.state / "lake" / "raw" / "file").read_text() == "data"


def test_secrets_are_nowhere_but_in_their_files(checkout: Checkout) -> None:
    result = checkout.run("deploy", "--stack", "database,mail")
    assert result.returncode == 0
    values = [path.read_text().strip() for path in (checkout.state / "secrets").iterdir()]
    assert len(values) >= 6
    texts = [result.stdout + result.stderr]
    texts += [" ".join(process.cmdline()) for process in checkout.supervisor.marked()]
    for folder in ("engine", "run", "logs"):
        texts += [path.read_text(errors="replace") for path in (checkout.state / folder).rglob("*") if path.is_file()]
    for value in values:
        assert not any(value in text for text in texts)


def test_the_port_helper_gives_ports_nobody_has() -> None:
    assert not health.accepts(free_port(), timeout=0.1)
