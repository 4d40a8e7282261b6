"""Each kind of resource: what it refuses, what it makes, what it finds again, why it is replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from infra.provider.kinds.base import UNKNOWN, Kind, ProviderError, World, explain, unknown
from infra.provider.kinds.files import Directory, File, RenderedSecret, Secret, fingerprint
from infra.provider.kinds.processes import Job, Process
from infra.provider.servicer import KINDS, describe


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(state=tmp_path / "state")


def process(**changed: Any) -> dict[str, Any]:
    return {
        "name": "web", "command": ["sleep", "1000"], "env": {}, "secret_files": {}, "directory": "/",
        "health": {"kind": "running", "url": "", "port": 0}, "start_timeout": 5.0, "memory_limit": 0,
        "log_max_bytes": 1000, "log_backups": 1, "restart": "always", "stop_signal": "TERM", "stop_group": True,
        "stop_timeout": 5.0, "priority": 500, "triggers": {}, **changed,
    }  # fmt: skip


def test_every_kind_says_what_replaces_it_and_why() -> None:
    for name, kind in KINDS.items():
        assert name.startswith("machine:index:")
        assert kind.replaced_by, name
        assert all(kind.replaced_by.values())


def test_nothing_has_changed_when_inputs_are_the_same() -> None:
    assert Process().changes({**process(), "state": "running"}, process()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"command": ["sleep", "5"]}, "changed: command"),
        ({"env": {"A": "1"}, "triggers": {"code": "x"}}, "changed: env, triggers"),
        ({"name": "other"}, "replaced because name: a process is known by its name"),
        (
            {"name": "other", "restart": "never"},
            "replaced because name: a process is known by its name; changed: restart",
        ),
    ],
)
def test_a_change_is_told_with_its_properties_and_why_it_replaces(changed: dict[str, Any], said: str) -> None:
    assert describe("machine:index:Process", {**process(), "state": "running"}, process(**changed)) == said


def test_a_process_that_is_gone_is_a_change_of_its_state() -> None:
    changes = Process().changes({**process(), "state": "stopped"}, process())
    assert [(change.name, change.replaces) for change in changes] == [("state", False)]


def test_a_property_that_comes_or_goes_is_named_as_such() -> None:
    kind = File()
    changes = kind.changes({"path": "/a", "mode": "0640"}, {"path": "/a", "mode": "0640", "content": "x"})
    assert [(change.name, change.kind) for change in changes] == [("content", "add")]
    changes = kind.changes({"path": "/a", "content": "x"}, {"path": "/a", "content": None})
    assert [(change.name, change.kind) for change in changes] == [("content", "delete")]


def test_an_output_is_no_difference() -> None:
    assert Secret().changes({"path": "/a", "kind": "hex", "fingerprint": "abc"}, {"path": "/a", "kind": "hex"}) == []


def test_a_value_that_a_preview_does_not_know_is_a_change() -> None:
    assert unknown({"a": [UNKNOWN]})
    assert not unknown({"a": ["b"]})
    changes = File().changes({"path": "/a", "content": "x"}, {"path": "/a", "content": UNKNOWN})
    assert [change.name for change in changes] == ["content"]
    assert File().check({"path": UNKNOWN, "content": UNKNOWN, "mode": UNKNOWN}) == []


@pytest.mark.parametrize(
    ("kind", "inputs", "said"),
    [
        (Directory(), {"path": "relative", "mode": "0750"}, "path must be an absolute path"),
        (Directory(), {"path": "/a", "mode": "750"}, "mode must be four octal digits"),
        (File(), {"path": "/a", "mode": "0999", "content": ""}, "mode must be four octal digits"),
        (Secret(), {"path": "/a", "kind": "rot13"}, "kind must be fernet, hex, password, rsa, tls or urlsafe64"),
        (RenderedSecret(), {"path": "a"}, "path must be an absolute path"),
        (Process(), process(command=[]), "command must name a program"),
        (Process(), process(start_timeout=0.0), "start_timeout must be a number of seconds above zero"),
        (Process(), process(restart="sometimes"), "restart must be always, never or on-failure"),
        (Process(), process(directory="here"), "directory must be an absolute path"),
        (Job(), {"directory": "/", "command": []}, "command must name a program"),
    ],
)
def test_inputs_that_cannot_be_are_refused_with_the_reason(kind: Kind, inputs: dict[str, Any], said: str) -> None:
    reasons = kind.check(inputs)
    assert any(said in reason for reason in reasons), reasons


def test_a_folder_is_made_found_and_removed(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "a" / "b"), "mode": "0700", "retain": False}
    made = Directory().create(world, inputs)
    assert made.id == inputs["path"]
    assert Directory().read(world, made.id, made.properties) == inputs
    Path(made.id).chmod(0o755)
    drifted = Directory().read(world, made.id, made.properties)
    assert drifted is not None
    assert [change.name for change in Directory().changes(drifted, inputs)] == ["mode"]
    Directory().delete(world, made.id, made.properties)
    assert Directory().read(world, made.id, made.properties) is None
    Directory().delete(world, made.id, made.properties)


def test_a_folder_with_data_is_kept(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "lake"), "mode": "0750", "retain": True}
    made = Directory().create(world, inputs)
    (tmp_path / "lake" / "file").write_text("data")
    Directory().delete(world, made.id, made.properties)
    assert Directory().create(world, inputs).id == made.id
    assert (tmp_path / "lake" / "file").read_text() == "data"


def test_a_file_that_was_edited_is_seen_and_written_again(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "f"), "content": "ours\n", "mode": "0640"}
    made = File().create(world, inputs)
    (tmp_path / "f").write_text("theirs\n")
    found = File().read(world, made.id, made.properties)
    assert found is not None
    assert [change.name for change in File().changes(found, inputs)] == ["content"]
    File().update(world, made.id, found, inputs)
    assert (tmp_path / "f").read_text() == "ours\n"
    assert File().read(world, made.id, made.properties) == inputs
    File().delete(world, made.id, made.properties)
    assert File().read(world, made.id, made.properties) is None


@pytest.mark.parametrize(("kind", "length"), [("password", 24), ("hex", 128), ("fernet", 44), ("urlsafe64", 64)])
def test_a_secret_is_made_once_and_never_told(world: World, tmp_path: Path, kind: str, length: int) -> None:
    inputs = {"path": str(tmp_path / "secrets" / "s"), "kind": kind}
    made = Secret().create(world, inputs)
    value = Path(made.id).read_text()
    assert len(value) == length
    assert value not in str(made)
    assert oct(Path(made.id).stat().st_mode)[-3:] == "600"
    assert Secret().create(world, inputs) == made, "a second create adopts it"
    Secret().delete(world, made.id, made.properties)
    assert Path(made.id).read_text() == value, "what it opens is kept, so it is kept"


def test_a_secret_that_others_may_read_is_made_safe_again(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "s"), "kind": "password"}
    made = Secret().create(world, inputs)
    Path(made.id).chmod(0o644)
    found = Secret().read(world, made.id, made.properties)
    assert found == {**made.properties, "mode": "0644"}
    assert [(change.name, change.replaces) for change in Secret().changes(found, inputs)] == [("mode", False)]
    assert Secret().update(world, made.id, found, inputs) == made.properties, "the same secret"
    assert oct(Path(made.id).stat().st_mode)[-3:] == "600"


def test_a_rendered_secret_holds_the_others_and_notices_when_it_is_edited(world: World, tmp_path: Path) -> None:
    source = Secret().create(world, {"path": str(tmp_path / "p"), "kind": "password"})
    inputs = {"path": str(tmp_path / "r"), "template": '{{"admin": "{p}"}}', "secrets": {"p": source.id}}
    made = RenderedSecret().create(world, inputs)
    value = Path(source.id).read_text()
    assert Path(made.id).read_text() == f'{{"admin": "{value}"}}'
    assert value not in str(made)
    assert RenderedSecret().read(world, made.id, made.properties) == made.properties
    Path(made.id).write_text("{}")
    assert RenderedSecret().read(world, made.id, made.properties) is None
    RenderedSecret().delete(world, made.id, made.properties)
    assert not Path(made.id).exists()


def test_a_lost_secret_is_named(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "r"), "template": "{p}", "secrets": {"p": str(tmp_path / "lost")}}
    with pytest.raises(ProviderError, match="cannot read the secret lost"):
        RenderedSecret().create(world, inputs)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; run the tests as an ordinary user to see it")
def test_a_folder_that_may_not_be_written_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ProviderError, match="cannot write f: Permission denied"):
        File().create(world, {"path": str(tmp_path / "closed" / "f"), "content": "", "mode": "0640"})


def test_a_disk_that_refuses_is_named_and_leaves_nothing(world: World) -> None:
    with pytest.raises(ProviderError, match="cannot write"):
        File().create(world, {"path": "/proc/nothing/f", "content": "", "mode": "0640"})


def test_a_fingerprint_changes_with_its_secret(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    first = fingerprint(tmp_path / "a")
    (tmp_path / "a").write_text("two")
    assert fingerprint(tmp_path / "a") != first
    assert len(first) == 16


def test_a_job_runs_to_its_end_and_its_output_is_kept(world: World, tmp_path: Path) -> None:
    inputs = {"name": "j", "command": ["sh", "-c", "echo $WHO > out"], "env": {"WHO": "it's me"}, "secret_files": {},
              "directory": str(tmp_path), "triggers": {}, "timeout": 10.0}  # fmt: skip
    made = Job().create(world, inputs)
    assert (tmp_path / "out").read_text() == "it's me\n"
    assert Job().read(world, made.id, made.properties) == inputs
    assert Job().read(world, made.id, {}) is None


def test_a_job_that_fails_says_how_its_log_ends(world: World, tmp_path: Path) -> None:
    inputs = {"name": "j", "command": ["sh", "-c", "echo first; echo why >&2; exit 3"], "env": {}, "secret_files": {},
              "directory": str(tmp_path), "triggers": {}, "timeout": 10.0}  # fmt: skip
    with pytest.raises(ProviderError, match=r"the job j ended with code 3; its log ends: first \| why"):
        Job().create(world, inputs)


def test_a_job_that_takes_too_long_is_ended(world: World, tmp_path: Path) -> None:
    inputs = {"name": "j", "command": ["sleep", "100"], "env": {}, "secret_files": {}, "directory": str(tmp_path),
              "triggers": {}, "timeout": 0.3}  # fmt: skip
    with pytest.raises(ProviderError, match="the job j took longer than 0s"):
        Job().create(world, inputs)


def test_no_changes_are_explained_by_nothing() -> None:
    assert explain([]) == ""
    assert describe("aws:s3:Bucket", {}, {"a": 1}) == ""
