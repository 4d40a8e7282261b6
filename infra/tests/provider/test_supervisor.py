"""Processes under a real supervisord: started, found, restarted, ended, with nothing left."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.provider import health
from infra.provider.kinds.base import HalfMadeError, ProviderError, World
from infra.provider.kinds.processes import Process
from infra.provider.supervisor import Supervisor, SupervisorError, marker, start_script
from infra.testing import parts

pytestmark = pytest.mark.integration
SERVER = "import http.server as h, sys; h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()"


def specification(name: str = "web", *, port: int = 0, **changed: Any) -> dict[str, Any]:
    command = ["python3", "-c", SERVER, str(port)] if port else ["sleep", "1000"]
    asked = (
        {"kind": "http", "url": f"http://127.0.0.1:{port}/", "port": 0}
        if port
        else {"kind": "running", "url": "", "port": 0}
    )
    return {
        "name": name, "command": command, "env": {}, "secret_files": {}, "directory": "/tmp", "health": asked,
        "start_timeout": 20.0, "memory_limit": 0, "log_max_bytes": 100_000, "log_backups": 1, "restart": "always",
        "stop_signal": "TERM", "stop_group": True, "stop_timeout": 5.0, "priority": 500, "triggers": {}, **changed,
    }  # fmt: skip


@pytest.fixture(
    params=["plain", "with spaces, a % and a name that is far too long for the address of a Unix socket " + "x" * 60]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[World]:
    world = World(state=tmp_path / request.param)
    yield world
    world.supervisor.shutdown()
    assert world.supervisor.marked() == [], "a test has left a process"


@pytest.fixture
def here(tmp_path: Path) -> Generator[World]:
    world = World(state=tmp_path / "state")
    yield world
    world.supervisor.shutdown()
    assert world.supervisor.marked() == [], "a test has left a process"


def test_a_process_runs_with_just_its_environment_and_is_found_again(world: World) -> None:
    odd = 'it\'s "100%" $HOME\nnext line'
    made = Process().create(world, specification(command=["sh", "-c", "env; exec sleep 1000"], env={"ODD": odd}))
    assert made.properties["state"] == "running"
    log = world.supervisor.log_path("web")
    assert parts.eventually(lambda: "next line" in log.read_text())
    assert f"ODD={odd}" in log.read_text()
    assert "AWS_" not in log.read_text()
    found = Process().read(world, "web", made.properties)
    assert found is not None
    assert Process().changes(found, specification(command=["sh", "-c", "env; exec sleep 1000"], env={"ODD": odd})) == []


def test_a_killed_process_is_back_and_healthy(here: World) -> None:
    port = parts.free_port()
    Process().create(here, specification(port=port))
    first = here.supervisor.one("web")
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    assert parts.eventually(lambda: (now := here.supervisor.one("web")) is not None and now.pid not in (0, first.pid))
    assert parts.eventually(lambda: health.healthy(specification(port=port)["health"]))


def test_a_changed_process_is_restarted_and_an_unchanged_one_is_not(here: World) -> None:
    made = Process().create(here, specification())
    first = here.supervisor.one("web")
    Process().create(here, specification())
    assert here.supervisor.one("web") == first, "create adopts what runs as it should"
    Process().update(here, "web", made.properties, specification(env={"A": "1"}))
    second = here.supervisor.one("web")
    assert first is not None
    assert second is not None
    assert second.pid != first.pid


def test_a_process_that_keeps_ending_is_told_with_the_end_of_its_log(here: World) -> None:
    with pytest.raises(HalfMadeError, match=r"the process web keeps ending; its log ends: .*no such table"):
        Process().create(here, specification(command=["sh", "-c", "echo no such table; exit 1"]))


def test_a_process_that_never_gets_healthy_is_told_so_and_mended_by_the_next_update(here: World) -> None:
    port = parts.free_port()
    sick = specification(port=port, command=["sleep", "1000"], start_timeout=1.0)
    with pytest.raises(HalfMadeError, match="the process web is not healthy after 1s") as caught:
        Process().create(here, sick)
    assert caught.value.properties["state"] == "unhealthy"
    mended = Process().update(here, "web", caught.value.properties, specification(port=port))
    assert mended["state"] == "running"


def test_a_taken_port_is_told_before_anything_is_started_and_by_whom(here: World) -> None:
    port = parts.free_port()
    command = ["python3", "-c", SERVER, str(port)]
    with parts.running(command, ready=lambda: health.accepts(port), log=Path(os.devnull)) as other:
        with pytest.raises(ProviderError, match=rf"port {port} is taken by .*pid {other.pid}"):
            Process().create(here, specification(port=port))
        assert here.supervisor.one("web") is None


def test_a_stopped_process_and_a_lost_one_are_drift(here: World) -> None:
    made = Process().create(here, specification())
    here.supervisor.stop_all()
    stopped = Process().read(here, "web", made.properties)
    assert stopped is not None
    assert stopped["state"] == "stopped"
    assert Process().update(here, "web", stopped, specification())["state"] == "running"
    here.supervisor.remove("web")
    assert Process().read(here, "web", made.properties) is None


def test_a_process_that_hangs_is_ill_although_it_runs_and_an_update_starts_it_again(here: World) -> None:
    asked = specification(port=parts.free_port(), start_timeout=3.0, stop_timeout=1.0)
    made = Process().create(here, asked)
    first = here.supervisor.one("web")
    assert first is not None
    os.kill(first.pid, signal.SIGSTOP)
    time.sleep(max(0.0, first.since + 3.5 - time.time()))
    found = Process().read(here, "web", made.properties)
    assert found is not None
    assert found["state"] == "unhealthy"
    assert [change.name for change in Process().changes(found, asked)] == ["state"]
    assert Process().update(here, "web", found, asked)["state"] == "running"
    second = here.supervisor.one("web")
    assert second is not None
    assert second.pid != first.pid


def test_a_process_that_was_just_killed_is_starting_and_an_update_waits_for_it(here: World) -> None:
    port = parts.free_port()
    slow = ["sh", "-c", 'sleep 2; exec python3 -c "$0" "$1"', SERVER, str(port)]
    made = Process().create(here, specification(port=port, command=slow))
    first = here.supervisor.one("web")
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    second = parts.eventually(
        lambda: (now := here.supervisor.one("web")) is not None and now.pid not in (0, first.pid) and now
    )
    found = Process().read(here, "web", made.properties)
    assert found is not None
    assert found["state"] == "starting"
    mended = Process().update(here, "web", found, specification(port=port, command=slow))
    assert mended["state"] == "running"
    assert second
    assert (now := here.supervisor.one("web")) is not None
    assert now.pid == second.pid, "what is starting is waited for, not started again"


@pytest.mark.parametrize("suffix", [".sh", ".conf"])
def test_a_process_whose_start_was_edited_is_drift_and_started_as_it_should_be(here: World, suffix: str) -> None:
    made = Process().create(here, specification())
    edited = here.state / "run" / "processes" / f"web{suffix}"
    before = edited.read_text()
    edited.write_text(before + "\n# by hand\n")
    found = Process().read(here, "web", made.properties)
    assert found == {**made.properties, "user": "", "definition": "edited"}
    assert [change.name for change in Process().changes(found, specification())] == ["definition"]
    Process().update(here, "web", found, specification())
    assert edited.read_text() == before
    assert Process().read(here, "web", made.properties) == {**made.properties, "user": ""}


def test_a_stubborn_process_and_its_children_are_ended(here: World) -> None:
    script = "trap '' TERM; sleep 1000 & wait; sleep 1000"
    Process().create(here, specification(command=["bash", "-c", script], stop_timeout=1.0))
    assert parts.eventually(lambda: len(here.supervisor.marked()) >= 3)
    Process().delete(here, "web", {})
    names = {process.name() for process in here.supervisor.marked()}
    assert "sleep" not in names
    assert here.supervisor.names() == []


def test_after_a_killed_supervisor_everything_comes_back_once(here: World) -> None:
    port = parts.free_port()
    Process().create(here, specification(port=port))
    pid = int((here.state / "run" / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert parts.eventually(lambda: not here.supervisor.alive())
    here.supervisor.ensure()
    assert parts.eventually(lambda: health.healthy(specification(port=port)["health"]))
    servers = [p for p in here.supervisor.marked() if SERVER in p.cmdline()]
    assert len(servers) == 1, "no second copy beside an orphan"


def test_shutdown_leaves_nothing_and_can_be_repeated(here: World) -> None:
    for name in ("a", "b", "c"):
        Process().create(here, specification(name))
    assert [status.name for status in here.supervisor.status()] == ["a", "b", "c"]
    here.supervisor.shutdown()
    assert here.supervisor.marked() == []
    assert here.supervisor.status() == []
    here.supervisor.shutdown()


def test_two_environments_do_not_touch_each_other(here: World, tmp_path: Path) -> None:
    other = World(state=tmp_path / "other")
    Process().create(here, specification())
    Process().create(other, specification())
    other.supervisor.shutdown()
    status = here.supervisor.one("web")
    assert status is not None
    assert psutil.pid_exists(status.pid)
    assert marker(here.state) != marker(other.state)


def test_restarting_what_is_not_there_names_what_is(here: World) -> None:
    Process().create(here, specification())
    with pytest.raises(SupervisorError, match=r"no process 'wbe'. There are: web"):
        here.supervisor.restart("wbe")


def test_secrets_are_in_no_process_list_and_no_readable_file(here: World, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("hunter2")
    Process().create(here, specification(secret_files={"KEY_FILE": str(secret)}))
    everything = " ".join(" ".join(process.cmdline()) for process in here.supervisor.marked())
    assert "hunter2" not in everything
    for path in (here.state / "run" / "processes").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        assert "hunter2" not in path.read_text()
    assert json.loads((here.state / "run" / "processes" / "web.json").read_text())["secret_files"] == {
        "KEY_FILE": str(secret)
    }


def test_the_start_script_quotes_everything(tmp_path: Path) -> None:
    script = start_script(specification(env={"A": "x'; rm -rf /; '"}, directory="/a b"), marker="m", home=tmp_path)
    assert "export A='x'\"'\"'; rm -rf /; '\"'\"''" in script
    assert "cd '/a b'" in script


def test_a_supervisor_that_cannot_start_says_why(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    (tmp_path / "run" / "processes").mkdir(parents=True)
    (tmp_path / "run" / "processes" / "broken.conf").write_text("[program:broken]\nnumprocs=x\n")
    with pytest.raises(SupervisorError, match="supervisord does not start"):
        supervisor.ensure()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a process as another user; run the tests as root")
def test_a_process_runs_as_the_user_it_is_given(here: World) -> None:
    Process().create(here, specification(command=["sleep", "1000"], user="nobody"))
    status = here.supervisor.one("web")
    assert status is not None
    assert psutil.Process(status.pid).username() == "nobody"


def test_a_user_that_nobody_is_is_refused() -> None:
    assert Process().check(specification(command=["sleep", "1"], user="no-such-user")) == [
        "user 'no-such-user' is nobody on this machine"
    ]
