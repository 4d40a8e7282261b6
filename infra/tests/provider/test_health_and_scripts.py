"""Health checks, who holds a port, start scripts and supervisord's sections: the provider's small decisions."""

from __future__ import annotations

import configparser
import http.server
import os
import socket
import subprocess
import sys
import threading
import xmlrpc.client
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.provider import health, plugin, postgres_binaries, resources
from infra.provider.kinds.base import Change, ProviderError, World, explain
from infra.provider.kinds.files import Directory, File, RenderedSecret, Secret, fingerprint, read_secret, write
from infra.provider.rpc import Transport, bindable
from infra.provider.servicer import KINDS, describe
from infra.provider.supervisor import MARKER, Supervisor, SupervisorError, environment, marker, start_script
from infra.testing import parts
from leandata.errors import DatabaseError


def specification(**changed: Any) -> dict[str, Any]:
    return {
        "name": "web", "command": ["true"], "env": {}, "secret_files": {}, "directory": "/",
        "health": {"kind": "running", "url": "", "port": 0}, "start_timeout": 5.0, "memory_limit": 0.0,
        "log_max_bytes": 1000.0, "log_backups": 2.0, "restart": "always", "stop_signal": "TERM", "stop_group": True,
        "stop_timeout": 5.0, "priority": 500.0, "triggers": {}, **changed,
    }  # fmt: skip


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/") or 200))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def web() -> Generator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


# -- health ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "good"),
    [("", True), ("200", True), ("204", False), ("302", False), ("404", False), ("500", False), ("503", False)],
)
def test_only_200_is_healthy(web: int, path: str, good: bool) -> None:
    assert health.healthy({"kind": "http", "url": f"http://127.0.0.1:{web}/{path}"}) == good


def test_a_port_that_accepts_is_healthy_and_one_that_does_not_is_not(web: int) -> None:
    assert health.healthy({"kind": "tcp", "port": float(web)})
    assert not health.healthy({"kind": "tcp", "port": float(parts.free_port())}, timeout=0.5)
    assert not health.healthy({"kind": "http", "url": f"http://127.0.0.1:{parts.free_port()}/"}, timeout=0.5)


def test_what_only_has_to_run_is_taken_as_healthy() -> None:
    assert health.healthy({"kind": "running", "url": "", "port": 0})


def test_a_server_that_never_answers_is_not_waited_for_longer_than_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert not health.healthy({"kind": "http", "url": url}, timeout=0.2)


def test_a_server_that_speaks_something_else_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def gibber() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0\r\n")
            connection.close()

        thread = threading.Thread(target=gibber)
        thread.start()
        assert not health.healthy({"kind": "http", "url": f"http://127.0.0.1:{server.getsockname()[1]}/"}, timeout=2)
        thread.join()


def test_waiting_ends_when_the_process_is_gone() -> None:
    asked = {"kind": "tcp", "port": parts.free_port()}
    assert not health.wait(asked, alive=lambda: False, timeout=60)


def test_waiting_ends_as_soon_as_it_is_healthy(web: int) -> None:
    assert health.wait({"kind": "tcp", "port": web}, alive=lambda: True, timeout=60)


@pytest.mark.parametrize(
    ("asked", "port"),
    [
        ({"kind": "http", "url": "http://127.0.0.1:8080/healthz"}, 8080),
        ({"kind": "http", "url": "http://127.0.0.1/healthz"}, 0),
        ({"kind": "tcp", "port": 5432.0}, 5432),
        ({"kind": "running", "port": 0}, 0),
    ],
)
def test_the_port_of_a_health_check_is_known(asked: dict[str, Any], port: int) -> None:
    assert health.port_of(asked) == port


def test_the_holder_of_a_port_is_told_by_its_command_and_id(web: int) -> None:
    assert health.holder(web).endswith(f"(pid {os.getpid()})")
    assert health.holder(parts.free_port()) == ""


@pytest.mark.parametrize(
    ("text", "count", "lines"),
    [
        ("", 5, []),
        ("\n\n  \n", 5, []),
        ("one\ntwo\nthree", 2, ["two", "three"]),
        ("  spaces  \n\nend\n", 5, ["spaces", "end"]),
        ("x" * 500, 5, ["x" * 300]),
        ("y\n" * 10_000, 3, ["y", "y", "y"]),
    ],
)
def test_the_last_lines_of_a_log_that_say_something_are_found(
    tmp_path: Path, text: str, count: int, lines: list[str]
) -> None:
    (tmp_path / "log").write_text(text)
    assert health.last_lines(tmp_path / "log", count=count) == lines


def test_a_log_of_any_bytes_and_a_log_that_is_not_there_have_lines_or_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\xfe\x00ok\n")
    assert len(health.last_lines(tmp_path / "log")) == 1
    assert health.last_lines(tmp_path / "none") == []


# -- start scripts -----------------------------------------------------------------------------------------------------

ODD = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=30)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(value=ODD, argument=ODD)
def test_any_value_and_any_argument_reach_the_process_as_they_are(tmp_path: Path, value: str, argument: str) -> None:
    code = "import os, sys; sys.stdout.buffer.write(os.fsencode(os.environ['ODD']) + b'|' + os.fsencode(sys.argv[1]))"
    text = start_script(
        specification(command=[sys.executable, "-c", code, argument], env={"ODD": value}), marker="m", home=tmp_path
    )
    result = subprocess.run(["/bin/sh", "-c", text], capture_output=True, check=True)
    assert result.stdout == os.fsencode(value) + b"|" + os.fsencode(argument)


def test_a_process_gets_our_marker_and_nothing_of_who_deploys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    text = start_script(specification(command=["env"]), marker="the-marker", home=tmp_path / "home")
    result = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    own = environment(specification(), marker="the-marker", home=tmp_path / "home")
    assert found[MARKER] == "the-marker"
    assert found["HOME"] == str(tmp_path / "home")
    assert own.items() <= found.items()
    assert "hunter2" not in start_script(specification(), marker="m", home=tmp_path)


def test_secrets_are_named_by_their_files_only(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("hunter2")
    text = start_script(specification(secret_files={"KEY_FILE": str(tmp_path / "s")}), marker="m", home=tmp_path)
    assert "hunter2" not in text
    assert f"export KEY_FILE={tmp_path / 's'}" in text


@pytest.mark.parametrize(
    ("changed", "key", "value"),
    [
        ({}, "command", "/bin/sh processes/web.sh"),
        ({"restart": "always"}, "autorestart", "true"),
        ({"restart": "never"}, "autorestart", "false"),
        ({"restart": "on-failure"}, "autorestart", "unexpected"),
        ({"stop_signal": "INT"}, "stopsignal", "INT"),
        ({"stop_group": False}, "stopasgroup", "false"),
        ({"stop_group": False}, "killasgroup", "false"),
        ({"stop_timeout": 30.0}, "stopwaitsecs", "30"),
        ({"priority": 100.0}, "priority", "100"),
        ({"log_max_bytes": 5_000_000.0}, "stdout_logfile_maxbytes", "5000000"),
        ({"log_backups": 7.0}, "stdout_logfile_backups", "7"),
        ({}, "stdout_logfile", "../logs/web.log"),
        ({}, "redirect_stderr", "true"),
        ({}, "startretries", "1000000"),
    ],
)
def test_a_process_s_section_says_what_was_asked(tmp_path: Path, changed: dict[str, Any], key: str, value: str) -> None:
    text = Supervisor(tmp_path)._section(specification(**changed), tmp_path / "run" / "processes" / "web.sh")
    section = configparser.RawConfigParser()
    section.read_string(text)
    assert section["program:web"][key] == value


def test_two_environments_never_have_the_same_marker(tmp_path: Path) -> None:
    markers = {marker(tmp_path / str(number)) for number in range(200)}
    assert len(markers) == 200
    assert all(len(found) == 16 for found in markers)


def test_without_a_supervisor_there_are_no_processes(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "nothing")
    assert not supervisor.alive()
    assert supervisor.status() == []
    assert supervisor.one("web") is None
    assert supervisor.names() == []
    assert supervisor.specification("web") is None
    assert supervisor.marked() == []
    supervisor.remove("web")
    with pytest.raises(SupervisorError, match=r"no process 'web'\. There are: none"):
        supervisor.restart("web")


# -- the socket --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [10, 90, 100, 101, 150, 240])
def test_a_socket_is_reached_however_long_its_path(tmp_path: Path, length: int) -> None:
    folder = tmp_path
    while len(str(folder / "s")) < length:
        folder = folder / ("d" * min(50, max(1, length - len(str(folder / "s")))))
    folder.mkdir(parents=True, exist_ok=True)
    with bindable(folder / "s") as (address, descriptors), socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        assert bool(descriptors) == (len(str(folder / "s")) > 100)
    assert (folder / "s").is_socket()


def test_nobody_listening_is_an_os_error(tmp_path: Path) -> None:
    proxy = xmlrpc.client.ServerProxy("http://localhost", transport=Transport(tmp_path / "none"))
    with pytest.raises(OSError, match="No such file"), proxy:
        proxy.supervisor.getState()


# -- explanations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([], ""),
        ([Change(name="a", kind="update", replaces=False)], "changed: a"),
        ([Change(name="a", kind="update", replaces=True, why="because")], "replaced because a: because"),
        (
            [Change(name="a", kind="add", replaces=False), Change(name="b", kind="update", replaces=True, why="w")],
            "replaced because b: w; changed: a",
        ),
    ],
)
def test_changes_are_explained_in_one_sentence(changes: list[Change], said: str) -> None:
    assert explain(changes) == said


@pytest.mark.parametrize("type_", sorted(KINDS))
def test_a_change_of_anything_can_be_described(type_: str) -> None:
    assert describe(type_, {"x": 1}, {"x": 2}) == "changed: x"
    assert describe(type_, {"x": 1}, {"x": 1}) == ""


def test_every_kind_of_the_provider_can_be_declared() -> None:
    declared = {name for name, found in vars(resources).items() if isinstance(found, type) and not name.startswith("_")}
    assert {type_.rpartition(":")[2] for type_ in KINDS} <= declared


def test_the_plugin_is_what_the_workspace_installs() -> None:
    script = Path(sys.executable).with_name("pulumi-resource-machine")
    assert script.exists()
    assert callable(plugin.main)


# -- files under stress ------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(state=tmp_path / "state")


def test_a_file_of_any_bytes_is_read_as_drift_not_as_a_failure(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "f"), "content": "ours", "mode": "0640"}
    made = File().create(world, inputs)
    (tmp_path / "f").write_bytes(b"\xff\xfe\x00")
    found = File().read(world, made.id, made.properties)
    assert found is not None
    assert [change.name for change in File().changes(found, inputs)] == ["content"]


@pytest.mark.parametrize("template", ["{missing}", "{0}", "{", "{p.x.y", "}"])
def test_a_template_that_cannot_be_filled_is_named_without_the_secret(
    world: World, tmp_path: Path, template: str
) -> None:
    (tmp_path / "p").write_text("hunter2")
    inputs = {"path": str(tmp_path / "r"), "template": template, "secrets": {"p": str(tmp_path / "p")}}
    with pytest.raises(ProviderError) as caught:
        RenderedSecret().create(world, inputs)
    assert "hunter2" not in str(caught.value)
    assert "the template of r names a secret that is not given; there are: p" in str(caught.value)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_is_written_whole_with_its_mode_and_leaves_no_scratch(tmp_path: Path, mode: int) -> None:
    write(tmp_path / "a" / "b" / "f", "text", mode=mode)
    assert (tmp_path / "a" / "b" / "f").read_text() == "text"
    assert (tmp_path / "a" / "b" / "f").stat().st_mode & 0o777 == mode
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["f"]


def test_many_writers_of_one_file_leave_one_whole_text(tmp_path: Path) -> None:
    texts = [str(number) * 50_000 for number in range(8)]
    threads = [threading.Thread(target=write, args=[tmp_path / "f", text], kwargs={"mode": 0o600}) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "f").read_text() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("keep")
    (tmp_path / "f").symlink_to(tmp_path / "victim")
    write(tmp_path / "f", "ours", mode=0o600)
    assert (tmp_path / "victim").read_text() == "keep"
    assert not (tmp_path / "f").is_symlink()


@pytest.mark.parametrize("kind", ["password", "hex", "fernet", "urlsafe64"])
def test_no_two_secrets_are_alike(world: World, tmp_path: Path, kind: str) -> None:
    values = {
        Path(Secret().create(world, {"path": str(tmp_path / f"{kind}{n}"), "kind": kind}).id).read_text()
        for n in range(50)
    }
    assert len(values) == 50
    assert all(value.isascii() and " " not in value for value in values)


def test_a_fernet_key_is_one(world: World, tmp_path: Path) -> None:
    from cryptography.fernet import Fernet

    made = Secret().create(world, {"path": str(tmp_path / "k"), "kind": "fernet"})
    key = Fernet(Path(made.id).read_bytes())
    assert key.decrypt(key.encrypt(b"text")) == b"text"


def test_a_fingerprint_tells_nothing_of_its_secret(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("hunter2")
    assert "hunter2" not in fingerprint(tmp_path / "s")
    assert read_secret(tmp_path / "s") == "hunter2"


def test_a_folder_in_the_place_of_a_file_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(ProviderError, match="cannot write f: Is a directory"):
        File().create(world, {"path": str(tmp_path / "f"), "content": "", "mode": "0640"})


def test_a_folder_below_a_file_is_an_error_of_the_system(world: World, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        Directory().create(world, {"path": str(tmp_path / "f" / "x"), "mode": "0750", "retain": False})


# -- PostgreSQL's programs ---------------------------------------------------------------------------------------------


def test_the_programs_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").write_text("")
    monkeypatch.setenv("LEANDATA_PG_BIN", str(tmp_path))
    assert postgres_binaries.find_pg_bin() == tmp_path


def test_programs_that_are_not_there_are_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANDATA_PG_BIN", str(tmp_path / "none"))
    with pytest.raises(
        DatabaseError, match=r"PostgreSQL's programs were not found\. Run `make setup`, or set LEANDATA_PG_BIN"
    ):
        postgres_binaries.find_pg_bin()


def test_the_programs_of_the_wheel_are_found_and_run() -> None:
    place = postgres_binaries.find_pg_bin()
    answer = subprocess.run([place / "postgres", "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("postgres (PostgreSQL) ")


def test_a_closed_folder_is_named_where_root_has_not_the_capability_to_pass_it() -> None:
    of_containers = 0x00000000A80425FB
    with pytest.raises(DatabaseError, match=r"as nobody, who may not enter /root\. Run `chmod o\+x /root`"):
        postgres_binaries.passing(Path("/root"), user="nobody", capabilities=of_containers)
    assert postgres_binaries.passing(Path("/root"), user="nobody", capabilities=of_containers | 1 << 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else; run the tests as root to see it")
def test_as_root_postgresql_runs_as_somebody_else(tmp_path: Path) -> None:
    found = postgres_binaries.unprivileged(tmp_path)
    result = subprocess.run([*found.prefix, "id", "-u"], capture_output=True, text=True, check=True)
    assert int(result.stdout) == found.uid != 0
