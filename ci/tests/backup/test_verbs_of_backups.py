"""`backup`, `restore` and `drill` ask before they replace, change nothing when dry, and answer for people and machines."""

from __future__ import annotations

import io
import json
import sys
import threading
from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ci import git
from ci.backup import folders
from ci.backup.manifest import BackupError, Manifest, PartRecord, piece
from ci.testing import environment as deployed_in
from ci.verbs.backup import backup
from ci.verbs.drill import _api, _run, drill
from ci.verbs.restore import confirm, deploy, restore
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Environment]:
    """This process deploys `local`, whose state lies in a folder of the test."""
    monkeypatch.setenv("LEANDATA_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("CI", raising=False)
    with deployed_in("local") as found:
        yield found


def taken(place: Path, *, environment: str = "local") -> Path:
    """A whole backup of one file of the lake."""
    folder = folders.begin(place, now=NOW)
    (folder / "lake").mkdir()
    (folder / "lake" / "one").write_text("data")
    part = PartRecord(taken=NOW.isoformat(), pieces=(piece(folder, folder / "lake" / "one"),))
    Manifest(
        environment=environment, commit="c", started=NOW.isoformat(), finished=NOW.isoformat(), state="/s",
        recipient="r", parts={"lake": part},
    ).write(folder)  # fmt: skip
    return folders.finish(folder)


def options(**given: object) -> Namespace:
    return Namespace(**{"json": False, "from": "", "part": "lake", "dry": True, "to": "", "keep": "", **given})


class Terminal(io.StringIO):
    """Somebody at a keyboard who types this."""

    def isatty(self) -> bool:
        return True


@contextmanager
def checkout(place: Path, environment: Environment, program: str) -> Generator[Environment]:
    """The environment in another checkout, in which `python -m ci` is this program."""
    (place / "ci").mkdir(parents=True)
    (place / "ci" / "__init__.py").write_text("")
    (place / "ci" / "__main__.py").write_text(program)
    yield replace(environment, root=place)


# -- backup ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", " ", "²", "00"])
def test_how_many_backups_are_kept_is_a_number_from_1(local: Environment, text: str) -> None:
    with pytest.raises(BackupError) as told:
        backup(options(keep=text))
    assert str(told.value) == f"KEEP is {text!r}. It is a number from 1"
    assert not folders.default_folder(local).exists()


def test_the_commit_is_that_of_the_checkout_and_empty_outside_of_one(tmp_path: Path) -> None:
    assert len(git.head(ROOT)) == 40
    assert git.head(tmp_path) == ""


# -- restore -----------------------------------------------------------------------------------------------------------


def test_a_dry_restore_of_the_newest_backup_tells_the_plan_and_changes_nothing(
    local: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    taken(folders.default_folder(local))
    assert restore(options()) == 0
    assert capsys.readouterr().out == (
        f"lake: files that are lost or damaged are put back under {local.state}/lake; newer ones stay\n"
        "The backup is whole. Nothing was changed.\n"
    )
    assert not local.state.exists()


def test_a_dry_restore_answers_machines_too(
    local: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = taken(tmp_path / "elsewhere")
    assert restore(options(**{"from": str(folder), "json": True})) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.pop("seconds") >= 0
    assert [line.partition(":")[0] for line in answer.pop("plan")] == ["lake"]
    assert answer == {
        "version": 1, "ok": True, "folder": str(folder), "differences": [], "notes": [], "events": "",
        "events_kept": 0, "deployed": False,
    }  # fmt: skip
    assert not local.state.exists()


def test_a_restore_without_any_backup_says_how_to_take_one(local: Environment) -> None:
    with pytest.raises(BackupError) as told:
        restore(options(dry=False))
    assert str(told.value) == f"there is no backup ({folders.default_folder(local)}). Take one: make backup"


def test_a_restore_of_all_parts_from_a_backup_of_one_is_refused(local: Environment) -> None:
    folder = taken(folders.default_folder(local))
    with pytest.raises(BackupError) as told:
        restore(options(part="", dry=False))
    assert str(told.value) == f"the backup has no part database ({folder}). It has: lake"
    assert not local.state.exists()


def test_a_damaged_backup_is_refused_even_when_dry(local: Environment) -> None:
    folder = taken(folders.default_folder(local))
    (folder / "lake" / "one").write_text("dat_")
    with pytest.raises(BackupError, match="lake/one is damaged: its checksum differs"):
        restore(options())


def test_a_backup_of_another_environment_is_refused(local: Environment) -> None:
    taken(folders.default_folder(local), environment="dev")
    with pytest.raises(BackupError) as told:
        restore(options())
    assert str(told.value) == "the backup is of dev, not of local. ENV=dev"


def test_what_is_there_is_not_replaced_when_nobody_can_confirm_it(
    local: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(folders.default_folder(local))
    (local.state / "lake").mkdir(parents=True)
    (local.state / "lake" / "mine").write_text("mine")
    monkeypatch.setattr(sys, "stdin", io.StringIO("local\n"))
    with pytest.raises(LeandataError) as told:
        restore(options(dry=False))
    assert str(told.value) == (f"{local.state} holds lake already. Run it in a terminal and confirm it, or set CI=true")
    assert [path.name for path in local.state.iterdir()] == ["lake"]


@pytest.mark.parametrize("typed", ["local\n", "  local  \n"])
def test_the_environments_name_confirms(local: Environment, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    terminal = Terminal(typed)
    monkeypatch.setattr(sys, "stdin", terminal)
    confirm(local, ["lake", "secrets"])
    assert terminal.read() == ""


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "yes\n", "LOCAL\n", "prod\n"])
def test_anything_else_that_is_typed_changes_nothing(
    local: Environment, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    with pytest.raises(LeandataError) as told:
        confirm(local, ["lake"])
    assert str(told.value) == "not confirmed; nothing was changed"


def test_nobody_is_asked_when_nothing_is_in_the_way_or_automation_runs_it(
    local: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal("never read\n")
    monkeypatch.setattr(sys, "stdin", terminal)
    confirm(local, [])
    monkeypatch.setenv("CI", "true")
    confirm(local, ["lake"])
    assert terminal.read() == "never read\n"
    monkeypatch.setenv("CI", "yes")
    with pytest.raises(LeandataError, match="not confirmed"):
        confirm(local, ["lake"])


# -- the deployment after a restore ------------------------------------------------------------------------------------

ECHO = """
import json, os, sys
names = ("CI", "LEANDATA_STATE", "LEANDATA_PORT_BASE")
print(json.dumps({"ok": True, "arguments": sys.argv[1:], **{name: os.environ[name] for name in names}}))
"""


def test_the_deployment_is_of_the_same_environment_state_and_ports(local: Environment, tmp_path: Path) -> None:
    with checkout(tmp_path / "checkout", replace(local, port_base=23400), ECHO) as elsewhere:
        assert deploy(elsewhere, quiet=True) == {
            "ok": True,
            "arguments": ["deploy", "--env", "local", "--json"],
            "CI": "true",
            "LEANDATA_STATE": str(local.state),
            "LEANDATA_PORT_BASE": "23400",
        }


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; print('first', file=sys.stderr); sys.exit('error: no space left')", "error: no space left"),
        ("", "it said nothing"),
        ("print('no JSON')", "it said nothing"),
        ("print('[]')", "it said nothing"),
        ("print('null')", "it said nothing"),
    ],
    ids=["an error", "silence", "words", "a list", "null"],
)
def test_a_deployment_that_gives_no_answer_is_told_by_its_last_line(
    local: Environment, tmp_path: Path, program: str, said: str
) -> None:
    with checkout(tmp_path / "checkout", local, program) as elsewhere, pytest.raises(BackupError) as told:
        deploy(elsewhere, quiet=True)
    assert str(told.value) == f"the deployment after the restore failed: {said}"


@pytest.mark.parametrize(("answer", "good"), [('{"ok": true}', True), ('{"ok": false}', False), ("{}", False)])
def test_a_deployment_worked_only_when_it_says_so(
    local: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: str, good: bool
) -> None:
    with checkout(tmp_path / "checkout", local, f"print('{answer}')") as elsewhere:
        assert deploy(elsewhere, quiet=False)["ok"] is good
    assert capsys.readouterr().out == "Deploying around it ...\n"


# -- drill -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cluster", "dev", "prod", "staging"])
def test_a_drill_of_an_environment_in_a_cluster_proves_nothing_and_says_so(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"In {name} a drill is done by hand: `make backup` writes the commands. Nothing was proven."
    with deployed_in(name):
        assert drill(options()) == 1
        assert capsys.readouterr().out == f"{said}\n"
        assert drill(options(json=True)) == 1
    assert json.loads(capsys.readouterr().out) == {"version": 1, "ok": False, "error": said}


def test_a_drill_takes_the_backup_that_it_is_given_and_not_its_own(local: Environment, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk" / "20261125T120000Z"
    elsewhere.mkdir(parents=True)
    for given in (elsewhere, elsewhere.parent):
        with pytest.raises(BackupError) as told:
            drill(options(**{"from": str(given)}))
        assert str(elsewhere) in str(told.value)


def test_a_drill_without_a_backup_starts_nothing(local: Environment) -> None:
    with pytest.raises(BackupError, match="there is no backup"):
        drill(options())
    assert list(local.state.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "verb", "expected"),
    [
        ("print('{\"ok\": true}')", "report", {"ok": True}),
        ('print(\'{"error": "no week"}\'); raise SystemExit(1)', "report", {"error": "no week"}),
        ("print('no JSON')", "report", {}),
        ("", "restore", {}),
        ("print('[1]')", "restore", {}),
    ],
    ids=["works", "says why it fails", "words", "silence", "a list"],
)
def test_what_a_verb_answers_in_the_throwaway_environment_is_known(
    local: Environment, tmp_path: Path, program: str, verb: str, expected: dict[str, Any]
) -> None:
    with checkout(tmp_path / "checkout", local, program) as elsewhere:
        assert _run(elsewhere, {"CI": "true"}, verb) == expected


class Sales(BaseHTTPRequestHandler):
    """An API that answers with `body` to who shows the key `right`."""

    body = b"[]"

    def do_GET(self) -> None:
        self.send_response(200 if self.headers["X-API-Key"] == "right" else 401)
        self.end_headers()
        self.wfile.write(self.body if self.path == "/v1/sales/weekly" else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.mark.parametrize(
    ("key", "body", "good"),
    [
        ("right\n", b'{"weeks": [{"week": "2026-11-16"}]}', True),
        ("wrong", b'{"weeks": [{"week": "2026-11-16"}]}', False),
        ("right", b'{"data_until": null, "weeks": []}', False),
        ("right", b"[]", False),
        ("right", b"<html>", False),
        (None, b'{"weeks": [{"week": "2026-11-16"}]}', False),
    ],
    ids=["sales", "another key", "no sales", "another answer", "no JSON", "no key"],
)
def test_the_restored_api_is_good_when_it_answers_with_sales(
    local: Environment, tmp_path: Path, key: str | None, body: bytes, good: bool
) -> None:
    (tmp_path / "secrets").mkdir()
    if key is not None:
        (tmp_path / "secrets" / "api-key").write_text(key)
    with HTTPServer(("127.0.0.1", 0), type("Answer", (Sales,), {"body": body})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            base = server.server_address[1] - local.file.ports.offsets["api"]
            assert _api(local, tmp_path, base) is good
        finally:
            server.shutdown()
            thread.join()


def test_an_api_that_does_not_listen_is_not_good(local: Environment, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api-key").write_text("right")
    assert _api(local, tmp_path, 1 - local.file.ports.offsets["api"]) is False
