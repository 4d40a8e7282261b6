"""The command line as people and machines meet it: bad input, empty states, JSON, and what is shown."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ci import bootstrap, budgets, cli, events, preflight, programs, progress
from ci.commands import VERBS
from ci.deploy import StackRun
from ci.events import Log, Step
from ci.graph import StackInfo
from ci.verbs import check, deploy, operate, status
from ci.verbs import test as testing
from infra.environment import ROOT, Environment
from infra.testing import parts
from leandata.datasets import CATALOG
from leandata.errors import LeandataError


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    monkeypatch.setenv("LEANDATA_STATE", str(tmp_path / "st ate"))
    monkeypatch.setenv("LEANDATA_PORT_BASE", str(parts.free_port(count=20)))
    monkeypatch.delenv("LEANDATA_ENV", raising=False)
    Environment.current.cache_clear()
    yield tmp_path / "st ate"
    Environment.current.cache_clear()


NOTHING_DEPLOYED = [
    (["run"], "no pipeline was named. For example: make run PIPELINE=collect_shop DAY=2026-11-16"),
    (["run", "--pipeline", "x", "--day", "2026-11-31"], "'2026-11-31' is no day. Write it like 2026-11-16"),
    (["run", "--pipeline", "x", "--day", "2026-11-01", "--week", "2026-W47"], "a day, a week and a range exclude"),
    (["run", "--pipeline", "x", "--week", "47"], "'47' is no week"),
    (["run", "--pipeline", "x", "--from", "2026-11-02", "--to", "2026-11-01"], "ends (2026-11-01) before it begins"),
    (["run", "--pipeline", "x", "--day", "2026-11-01", "--full"], "days and FULL exclude each other"),
    (["run", "--pipeline", "x"], "cannot read the secret airflow-password"),
    (["report"], "Airflow is not deployed, so there are no settings to report with. Run `make deploy`"),
    (["restart"], "nothing runs"),
    (["restart", "--service", "api"], "nothing runs"),
    (["key"], "one thing is done at a time. LIST=yes, CREATE=name SCOPES=events:write, ROTATE=id or REVOKE=id"),
    (["key", "--list"], "there is no database of events yet (local). Run `make deploy`"),
    (["key", "--create", "shop", "--rate", "many"], "'many' is no number of requests a second"),
    (["logs"], "no service ''. SERVICE is one of: none yet"),
    (["logs", "--service", "api"], "no service 'api'"),
    (["deploy", "--stack", "aip"], "unknown stack 'aip'. STACK is one of: airflow, api, dash"),
    (["deploy", "--env", "mars"], "unknown environment 'mars'. ENV is one of:"),
    (["status", "--env", "mars"], "unknown environment 'mars'"),
    (["destroy", "--env", ".."], "unknown environment '..'"),
    (["test", "--service", "aip"], "no service 'aip'. SERVICE is one of: airflow, api, dash, dask"),
    (
        ["bench", "--only", "luck"],
        "unknown measure 'luck'. ONLY is one or more of: airflow, api, cloud, compare, dash, exports, features, load, pipelines, platform, previews",
    ),
    (["new-service", "--name", "Pricing"], "'Pricing' cannot name a service"),
    (["new-service", "--name", "api"], "the service api exists"),
]


@pytest.mark.parametrize(("arguments", "said"), NOTHING_DEPLOYED, ids=lambda found: str(found)[:60])
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.run(arguments) == 1
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert said in output.err


@pytest.mark.parametrize(("arguments", "said"), NOTHING_DEPLOYED, ids=lambda found: str(found)[:60])
def test_with_json_the_same_is_an_object(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.run([*arguments, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == 1
    assert said in answer["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["deploy", "--colour", "red"],
        ["deploy", "extra"],
        ["logs", "--service"],
        ["status", "--stack", "a"],
    ],
)
def test_a_command_that_is_none_shows_its_usage_and_exits_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m ci")


def test_the_list_of_verbs_says_what_each_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.run(["--help"])
    said = capsys.readouterr().out
    for name, verb in VERBS.items():
        assert name in said
        assert " ".join(verb.help.split())[:30] in " ".join(said.split())


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_verb_is_done_by_a_function_that_is_there(name: str) -> None:
    import importlib

    module, _, function = VERBS[name].done_by.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_option_of_every_verb_is_explained(name: str) -> None:
    for option in VERBS[name].options:
        assert option.flag.startswith("--")
        assert len(option.help) > 10
        assert option.switch or option.metavar, "what has a value says what kind"


def test_status_of_nothing_says_how_to_begin(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status"]) == 1
    assert capsys.readouterr().out == f"Nothing is deployed in {state}. `make deploy` does it.\n"


def test_status_of_nothing_for_machines(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"version": 1, "ok": False, "services": [], "datasets": []}


def test_status_does_not_wait_for_what_is_not_deployed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status", "--wait", "900"]) == 1
    assert capsys.readouterr().out == f"Nothing is deployed in {state}. `make deploy` does it.\n"


@pytest.mark.parametrize("seconds", ["soon", "-1", "1.5"])
def test_a_wait_that_is_no_number_of_seconds_is_refused(
    state: Path, seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["status", f"--wait={seconds}"]) == 1
    assert capsys.readouterr().err == f"error: {seconds!r} is no number of seconds. WAIT=900\n"


MARTS = sorted(name for name, one in CATALOG.items() if one.layer == "MARTS" and name.startswith("sales."))


def seen(*published: str, **healthy: bool) -> tuple[list[status.Row], list[dict[str, Any]]]:
    rows = [
        status.Row(name=name, state="running", healthy=well, address="", since=0.0, memory=0)
        for name, well in healthy.items()
    ]
    return rows, [{"dataset": name} for name in published]


def test_what_is_waited_for_is_what_is_not_healthy_and_what_the_first_run_publishes() -> None:
    rows, _ = seen(api=True, dash=False)
    assert len(MARTS) == 7
    assert status.missing(rows, []) == ["dash", *MARTS]
    assert status.missing(rows[:1], set(MARTS) - {"sales.cohorts"}) == ["sales.cohorts"]
    assert status.missing(rows[:1], MARTS) == [], "no model has to be good enough to be published"


def test_a_wait_ends_as_soon_as_nothing_is_missing_and_says_each_change_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = seen(*MARTS[1:], api=True, dash=False)
    looks = iter([first, first, seen(*MARTS, api=True, dash=False), seen(*MARTS, api=True, dash=True)])
    rows, published, lacking = status.awaited(lambda: next(looks), seconds=60, pause=0)
    assert (len(rows), len(published), lacking) == (2, 7, [])
    assert capsys.readouterr().err == f"waiting for dash, {MARTS[0]}\nwaiting for dash\n"
    assert next(looks, None) is None


def test_a_wait_that_is_over_names_what_is_missing() -> None:
    looks = 0

    def looking() -> tuple[list[status.Row], list[dict[str, Any]]]:
        nonlocal looks
        looks += 1
        return seen(*MARTS, api=False)

    assert status.awaited(looking, seconds=0.05, pause=0.01)[2] == ["api"]
    assert looks > 1


def test_nothing_is_waited_for_where_nothing_is_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status.awaited(seen, seconds=60) == ([], [], [])
    assert capsys.readouterr().err == ""


def test_destroying_nothing_is_fine(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["destroy"]) == 0
    assert capsys.readouterr().out == "nothing is deployed\n"
    assert not state.exists()


def test_destroying_data_of_one_stack_is_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.mkdir()
    assert cli.run(["destroy", "--data", "--stack", "api"]) == 1
    assert "--data removes everything, so it goes without --stack" in capsys.readouterr().err


def test_destroying_data_without_a_terminal_and_without_ci_is_refused(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state.mkdir()
    (state / "lake").mkdir()
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO("local\n"))
    assert cli.run(["destroy", "--data"]) == 1
    assert "needs a typed confirmation" in capsys.readouterr().err
    assert (state / "lake").exists()


def test_doctor_tells_what_it_found_of_each_thing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["doctor", "--json"])
    answer = json.loads(capsys.readouterr().out)
    names = [finding["name"] for finding in answer["findings"]]
    assert names == [
        "python",
        "pulumi",
        "git",
        "make",
        "uv",
        "go",
        "memory",
        "disk",
        "postgres",
        "ports",
        "chromium",
        "user",
    ]
    assert all(finding["found"] for finding in answer["findings"])
    cli.run(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names)
    assert all(line.startswith(("ok  ", "NO  ")) for line in lines)


def test_doctor_names_who_holds_a_port(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", int(os.environ["LEANDATA_PORT_BASE"]) + 2)):
        assert cli.run(["doctor"]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("NO   ports")]
    assert " of api is taken by " in line
    assert f"(pid {os.getpid()})" in line
    assert "-> end it, or set PORT_BASE" in line


def test_logs_show_the_last_lines_of_each_marked_with_its_name(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "logs").mkdir(parents=True)
    (state / "logs" / "api.log").write_text("".join(f"line {number}\n" for number in range(100)))
    (state / "logs" / "airflow-api.log").write_text("other\n")
    assert cli.run(["logs", "--lines", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "airflow-api | other", "api         | line 98", "api         | line 99",
    ]  # fmt: skip
    assert cli.run(["logs", "--service", "api", "--lines", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, "logs": {"api": ["line 99"]}}


def test_lines_that_are_no_number_are_forty(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "logs").mkdir(parents=True)
    (state / "logs" / "api.log").write_text("".join(f"{number}\n" for number in range(100)))
    assert cli.run(["logs", "--lines", "many"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 40


def test_an_interrupted_verb_ends_with_one_line(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(options: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "status", interrupted)
    assert cli.run(["status"]) == 1
    assert capsys.readouterr().err == "error: interrupted\n"


def test_a_refusal_of_the_system_is_one_line_with_its_file(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(options: Any) -> int:
        raise PermissionError(13, "Permission denied", "/root/x")

    monkeypatch.setattr(status, "status", refused)
    assert cli.run(["status"]) == 1
    assert capsys.readouterr().err == "error: Permission denied (/root/x)\n"


def test_what_machines_read_is_versioned_and_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    cli.emit({"b": 1, "a": {"d": 1, "c": Path("/x")}})
    text = capsys.readouterr().out
    assert json.loads(text) == {"version": 1, "a": {"c": "/x", "d": 1}, "b": 1}
    assert text.index('"a"') < text.index('"b"') < text.index('"version"')


# -- progress ----------------------------------------------------------------------------------------------------------


def a_run(name: str = "api", **changed: Any) -> StackRun:
    run = StackRun(info=StackInfo(name=name, module="m", folder=Path("f"), needs=()))
    for field, value in changed.items():
        setattr(run, field, value)
    return run


def a_log(seen: int = 0, **ops: int) -> Log:
    steps = [Step(op=op, type="File", name=f"{op}{number}") for op, count in ops.items() for number in range(count)]
    return Log(steps=steps, seen={str(number) for number in range(seen)})


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (a_run(), "· api         waiting"),
        (a_run(state="running"), "… api         running"),
        (a_run(state="skipped"), "- api         skipped"),
        (a_run(state="done", seconds=3.14, log=a_log(3)), "✓ api           3 resources  nothing to change  3.1s"),
        (a_run(state="done", log=a_log(2, create=2)), "✓ api           2 resources  2 created  0.0s"),
        (
            a_run(state="failed", log=a_log(4, update=1, create=2, delete=1, replace=1)),
            "✗ api           4 resources  2 created, 1 deleted, 1 replaced, 1 updated  0.0s",
        ),
    ],
)
def test_a_run_is_one_line(run: StackRun, text: str) -> None:
    assert progress.line(run) == text


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(0, 0, "0"), (3, 0, "3"), (3, 22, "3/22"), (0, 22, "0/22"), (23, 22, "23"), (22, 22, "22/22")],
)
def test_resources_are_counted_against_what_is_known(done: int, total: int, text: str) -> None:
    assert progress.counted(done, total) == text


def drawn(table: progress.LiveTable) -> str:
    console = Console(width=100, file=io.StringIO(), force_terminal=False)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_live_table_shows_every_stack_with_its_count_and_what_goes_on() -> None:
    table = progress.LiveTable()
    log = a_log(3, create=1)
    log.current = "shop-seed"
    table.expect(a_run("database", state="running", log=log))
    table.expect(a_run("api"))
    table.learn(lambda: {"database": 22})
    parts.eventually(lambda: "3/22" in drawn(table))
    text = drawn(table)
    assert "shop-seed" in text
    assert "waiting" in text
    assert text.index("api") < text.index("database")


def test_totals_that_nobody_can_tell_leave_the_table_as_it_is() -> None:
    table = progress.LiveTable()
    table.expect(a_run("api", state="running", log=a_log(5)))

    def cannot() -> dict[str, int]:
        raise LeandataError("no programs")

    table.learn(cannot)
    assert "5" in drawn(table)


def test_without_a_terminal_progress_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(state="running")
    with progress.watching() as watcher:
        watcher.expect(run)
        watcher.changed(run)
    assert capsys.readouterr().out.endswith("s  … api         running\n")


def test_for_machines_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.watching(quiet=True) as watcher:
        watcher.expect(a_run())
        watcher.changed(a_run())
    assert capsys.readouterr().out == ""


def test_a_run_for_machines_has_all_that_was_done() -> None:
    found = deploy.record(a_run(state="done", seconds=1.239, log=a_log(1, update=1)))
    assert found == {
        "state": "done", "seconds": 1.24, "resources": 1, "changes": {"update": 1}, "problems": [],
        "steps": [{"op": "update", "type": "File", "name": "update0", "changed": []}],
    }  # fmt: skip


@pytest.mark.parametrize(("text", "names"), [("", []), ("api", ["api"]), (" api , dash ,", ["api", "dash"])])
def test_names_are_separated_by_commas(text: str, names: list[str]) -> None:
    assert deploy.names(text) == names


# -- set-up ------------------------------------------------------------------------------------------------------------


def wheel(name: str, **more: Any) -> dict[str, Any]:
    return {"filename": name, "url": f"../{name}", "hashes": {"sha256": "0"}, **more}


UV_WHEELS = [
    wheel("uv-0.9.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
    wheel("uv-0.10.2-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
    wheel("uv-0.10.3-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", yanked="broken"),
    wheel("uv-0.10.1-py3-none-manylinux_2_28_aarch64.whl"),
    wheel("uv-0.10.2-py3-none-musllinux_1_1_x86_64.whl"),
    wheel("uv-0.10.2-py3-none-macosx_11_0_arm64.whl"),
    wheel("uv-0.10.1-py3-none-macosx_10_12_x86_64.whl"),
    wheel("uv-0.10.2-py3-none-win_amd64.whl"),
    wheel("uv-0.11.0rc1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
    wheel("uv-0.10.2.tar.gz"),
]


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "uv-0.10.2-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        ("linux", "aarch64", "uv-0.10.1-py3-none-manylinux_2_28_aarch64.whl"),
        ("linux", "arm64", "uv-0.10.1-py3-none-manylinux_2_28_aarch64.whl"),
        ("darwin", "arm64", "uv-0.10.2-py3-none-macosx_11_0_arm64.whl"),
        ("darwin", "x86_64", "uv-0.10.1-py3-none-macosx_10_12_x86_64.whl"),
    ],
)
def test_the_newest_whole_release_for_this_machine_is_taken(system: str, machine: str, name: str) -> None:
    assert bootstrap.newest_wheel(UV_WHEELS, system=system, machine=machine)["filename"] == name


def test_a_machine_without_a_wheel_has_none() -> None:
    with pytest.raises(StopIteration):
        bootstrap.newest_wheel(UV_WHEELS, system="linux", machine="riscv64")


def index(folder: Path, *, content: bytes, digest: str) -> str:
    """A package index of one wheel, served from a folder."""
    name = UV_WHEELS[1]["filename"] if os.uname().machine == "x86_64" else UV_WHEELS[3]["filename"]
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("uv-0.10.2.data/scripts/uv", content)
    real = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "uv").mkdir()
    files = [{"filename": name, "url": f"../{name}", "hashes": {"sha256": digest or real}}]
    (folder / "uv" / "index.html").write_text(json.dumps({"files": files}))
    return str(folder)


@pytest.fixture
def served(tmp_path: Path) -> Generator[tuple[Path, str]]:
    folder, port = tmp_path / "index", parts.free_port()
    folder.mkdir()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    from infra.provider import health

    with parts.running(command, ready=lambda: health.accepts(port), log=tmp_path / "log"):
        yield folder, f"http://127.0.0.1:{port}"


@pytest.mark.integration
def test_uv_is_taken_from_the_index_when_it_is_nowhere(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = served
    index(folder, content=b"#!/bin/sh\necho uv 0.10.2\n", digest="")
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path / "ca che"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert bootstrap._find_uv() == str(tmp_path / "ca che" / "uv" / "uv")
    assert os.access(tmp_path / "ca che" / "uv" / "uv", os.X_OK)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    assert bootstrap._find_uv() == str(tmp_path / "ca che" / "uv" / "uv"), "the second time it is there"


@pytest.mark.integration
def test_a_damaged_download_is_refused(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = served
    index(folder, content=b"evil", digest="0" * 64)
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(bootstrap.SetupError, match="the download of uv is damaged"):
        bootstrap._find_uv()
    assert not (tmp_path / "cache" / "uv" / "uv").exists()


def test_without_uv_and_without_an_index_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        bootstrap.SetupError, match=r"uv is missing and cannot be downloaded .*Install it: pip install uv"
    ):
        bootstrap._find_uv()


def cli_of_version(folder: Path, version: str) -> Path:
    path = folder / "pulumi"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho v{version}\n")
    path.chmod(0o755)
    return path


def test_a_pulumi_on_the_path_is_taken_when_it_is_of_our_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = cli_of_version(tmp_path / "bin", bootstrap.PULUMI)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path / "cache"))
    assert bootstrap._find_pulumi(tmp_path) == str(place)


def test_a_pulumi_of_another_version_is_passed_over_for_the_one_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli_of_version(tmp_path / "bin", "3.1.0")
    ours = cli_of_version(tmp_path / "cache" / f"pulumi-{bootstrap.PULUMI}" / "bin", bootstrap.PULUMI)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path / "cache"))
    assert bootstrap._find_pulumi(tmp_path) == str(ours)


def test_go_writes_to_our_folder_only_and_reads_what_the_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path / "mod"
    (modules / "cache" / "download").mkdir(parents=True)
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho '{modules}'\necho https://proxy.example,direct\n")
    go.chmod(0o755)
    environ = bootstrap.go_environment(str(go), tmp_path / "build")
    assert environ["GOPROXY"] == f"file://{modules}/cache/download,https://proxy.example,direct"
    for name in ("GOCACHE", "GOPATH", "GOMODCACHE", "XDG_CONFIG_HOME"):
        assert environ[name].startswith(str(tmp_path / "build"))


# -- the rest ----------------------------------------------------------------------------------------------------------


@given(
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_programs_declare_can_always_be_written_as_json_sorted(value: Any) -> None:
    text = json.dumps(programs.plain(value))
    assert json.loads(text) == json.loads(json.dumps(programs.plain(json.loads(text))))


def test_a_secret_in_what_programs_declare_is_not_shown() -> None:
    from pulumi.runtime import rpc

    secret = {rpc._special_sig_key: rpc._special_secret_sig, "value": "hunter2"}
    assert programs.plain({"b": [secret], "a": 1.0, "__internal": 3}) == {"a": 1, "b": [programs.HIDDEN]}


@given(message=st.text(max_size=300))
def test_any_message_of_the_engine_becomes_at_most_one_line(message: str) -> None:
    said = events.condense(message, urn="")
    assert "\n" not in said
    assert len(said) <= 900


@pytest.mark.parametrize(
    ("service", "folders"), [("", []), ("api", ["services/api/tests"]), ("dask", ["services/dask/tests"])]
)
def test_a_service_s_tests_are_its_own_folder(service: str, folders: list[str]) -> None:
    assert testing.folders(service) == folders


def test_what_checks_run_is_installed_here() -> None:
    for command in check._TOOLS.values():
        assert Path(command[0]).exists(), command


def test_space_is_asked_of_the_disk_of_the_state_folder(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEANDATA_FREE_BYTES", str(2**62))
    with pytest.raises(LeandataError, match=r"of disk space is free, .* are needed \(.*st ate\)\. Free some, or put"):
        preflight.demand(Environment.current())


def test_a_state_folder_in_the_way_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "file" / "state")}, root=ROOT)
    with pytest.raises(LeandataError, match="the state folder cannot be written: Not a directory"):
        preflight.demand(environment)


def test_ports_that_are_ours_are_not_in_the_way() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert preflight.taken({"api": port}, ours=[os.getpid()]) == []
        (said,) = preflight.taken({"api": port, "dash": parts.free_port()}, ours=[])
        assert said.startswith(f"port {port} of api is taken by ")


@pytest.mark.parametrize("asked", ["airflow", "airflow-scheduler", "api"])
def test_a_process_is_found_by_its_own_or_its_service_s_name(asked: str) -> None:
    names = ["airflow-api", "airflow-scheduler", "api"]
    found = operate.matching(names, asked)
    assert found == [name for name in names if name == asked or name.startswith(f"{asked}-")]


def test_budgets_are_printed_with_where_we_are() -> None:
    lines = budgets.table(budgets.everything(ROOT)).splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "longest module", "longest function", "longest __main__", "annotated functions", "test lines per code line",
    ]  # fmt: skip
    assert all("budget" in line for line in lines)


# -- verbs that look at one machine ------------------------------------------------------------------------------------

ELSEWHERE = sorted(name for name, verb in VERBS.items() if verb.elsewhere)


@pytest.mark.parametrize("environment", ["cluster", "dev", "prod", "staging"])
@pytest.mark.parametrize("verb", ELSEWHERE)
def test_a_verb_of_one_machine_says_what_to_type_for_a_cluster(verb: str, environment: str) -> None:
    with pytest.raises(LeandataError) as caught:
        cli.demand_machine(verb, environment)
    assert str(caught.value).startswith(f"{verb} looks at one machine, and {environment} runs in a cluster")
    assert "{prefix}" not in str(caught.value)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_works_on_one_machine(verb: str) -> None:
    cli.demand_machine(verb, "local")


@pytest.mark.parametrize("verb", ELSEWHERE)
def test_an_unknown_environment_is_told_by_whoever_reads_it(verb: str) -> None:
    cli.demand_machine(verb, "prdo")


def test_the_reason_is_one_line_for_people_and_json_for_programs(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["status", "--env", "prod"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: status looks at one machine")
    assert said.err.count("\n") == 1
    assert cli.run(["status", "--env", "prod", "--json"]) == 1
    assert "one machine" in json.loads(capsys.readouterr().out)["error"]
