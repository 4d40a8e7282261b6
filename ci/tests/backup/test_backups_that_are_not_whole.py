"""A backup that is damaged, partial, foreign or from the future is refused by one clear line; sealed things stay so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci.backup import folders, lake, sealing
from ci.backup.manifest import BackupError, Manifest, PartRecord, demand_whole, differences, piece
from ci.backup.restoring import chosen, in_the_way, planned, told
from infra.environment import ROOT, Environment

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def backup(place: Path) -> Path:
    """A whole backup of one file of the lake."""
    folder = folders.begin(place, now=NOW)
    (folder / "lake").mkdir()
    (folder / "lake" / "one").write_bytes(b"data")
    part = PartRecord(taken=NOW.isoformat(), pieces=(piece(folder, folder / "lake" / "one"),))
    made = Manifest(
        environment="local", commit="c", started=NOW.isoformat(), finished=NOW.isoformat(), state="/state",
        recipient="r", parts={"lake": part},
    )  # fmt: skip
    made.write(folder)
    return folders.finish(folder)


def rewrite(folder: Path, **changes: Any) -> None:
    """Another manifest whose checksum is right."""
    found = {**json.loads((folder / "manifest.json").read_text()), **changes}
    text = json.dumps(found)
    (folder / "manifest.json").write_text(text)
    (folder / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest())


def outside(folder: Path) -> None:
    found = json.loads((folder / "manifest.json").read_text())["parts"]
    found["lake"]["pieces"][0]["path"] = "../../etc/passwd"
    rewrite(folder, parts=found)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte changed": (lambda at: (at / "lake" / "one").write_bytes(b"dat_"), "its checksum differs"),
    "a file cut": (lambda at: (at / "lake" / "one").write_bytes(b"da"), "2 bytes instead of 4"),
    "a file lost": (lambda at: (at / "lake" / "one").unlink(), "lake/one is lost"),
    "a manifest lost": (lambda at: (at / "manifest.json").unlink(), "incomplete"),
    "a checksum lost": (lambda at: (at / "manifest.sha256").unlink(), "incomplete"),
    "a checksum damaged": (lambda at: (at / "manifest.sha256").write_bytes(b"\xff"), "damaged"),
    "a manifest cut": (lambda at: (at / "manifest.json").write_text('{"format'), "damaged"),
    "a manifest edited": (
        lambda at: (at / "manifest.json").write_text((at / "manifest.json").read_text().replace("/state", "/other")),
        "its checksum differs",
    ),
    "a manifest that is a list": (lambda at: (at / "manifest.json").write_text("[]"), "no backup"),
    "something else": (lambda at: rewrite(at, format="other"), "no backup"),
    "a newer version": (lambda at: rewrite(at, version=2), "newer than 1"),
    "another environment": (lambda at: rewrite(at, environment="prod"), "is of prod, not of local"),
    "a key nobody knows": (lambda at: rewrite(at, more=1), "damaged"),
    "no parts": (lambda at: rewrite(at, parts=None), "damaged"),
    "a part lost": (lambda at: rewrite(at, parts={}), "no part lake"),
    "a file outside": (outside, "outside of the backup"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_backup_that_is_not_whole_is_refused(case: str, tmp_path: Path) -> None:
    folder = backup(tmp_path)
    demand_whole(Manifest.read(folder, environment="local"), folder, ("lake",))
    damage, said = REFUSED[case]
    damage(folder)
    with pytest.raises(BackupError, match=said):
        demand_whole(Manifest.read(folder, environment="local"), folder, ("lake",))


def test_there_is_no_such_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no such backup"):
        Manifest.read(tmp_path / "none", environment="local")
    with pytest.raises(BackupError, match="make backup"):
        folders.newest(tmp_path)


def test_what_was_sealed_opens_with_its_key_only(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    recipient = sealing.make_key(mine)
    sealing.make_key(other)
    sealed = sealing.seal(b"open sesame", recipient=recipient)
    assert sealing.unseal(sealed, key_file=mine) == b"open sesame"
    assert b"sesame" not in sealed
    assert mine.stat().st_mode & 0o777 == 0o600
    for data, key in ((sealed, other), (sealed[:-1] + b"\0", mine), (sealed[:70], mine), (b"plain", mine)):
        with pytest.raises(BackupError):
            sealing.unseal(data, key_file=key)
    with pytest.raises(BackupError, match="no private key"):
        sealing.unseal(sealed, key_file=tmp_path / "none")
    with pytest.raises(FileExistsError):
        sealing.make_key(mine)


@pytest.mark.parametrize("recipient", ["", "x25519:", "x25519:AAAA", "rsa:AAAA", "x25519:***"])
def test_a_recipient_that_is_no_key_is_refused(recipient: str) -> None:
    with pytest.raises(BackupError, match="no public key"):
        sealing.seal(b"", recipient=recipient)


def test_a_pack_keeps_modes_and_leaves_out_what_is_not_wanted(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "key").write_bytes(b"key")
    (source / "sub" / "key").chmod(0o600)
    (source / "cache").write_bytes(b"x")
    (source / "link").symlink_to("/etc/passwd")
    data = sealing.pack(source, wanted=lambda name: name != "cache")
    assert sealing.unpack(data, target) == ["sub/key"]
    assert (target / "sub" / "key").read_bytes() == b"key"
    assert (target / "sub" / "key").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_given_is_a_backup_or_holds_some(tmp_path: Path) -> None:
    environment = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "local")}, root=ROOT)
    for name in ("20261124T120000Z", "20261125T120000Z"):
        (tmp_path / "disk" / name).mkdir(parents=True)
    newest = tmp_path / "disk" / "20261125T120000Z"
    assert folders.asked_for(str(tmp_path / "disk"), environment) == newest
    assert folders.asked_for(str(newest), environment) == newest
    with pytest.raises(BackupError, match="there is no backup"):
        folders.asked_for("", environment)
    own = folders.default_folder(environment) / "20261126T120000Z"
    own.mkdir(parents=True)
    assert folders.asked_for("", environment) == own


def test_only_the_newest_backups_are_kept_and_no_interrupted_one(tmp_path: Path) -> None:
    made = [backup(tmp_path) for _ in range(4)]
    folders.begin(tmp_path, now=NOW)
    (tmp_path / "drill.json").write_text("{}")
    removed = folders.prune(tmp_path, keep=2)
    assert removed == [made[0].name, made[1].name, "20261125T120000Z-5.partial"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [made[2].name, made[3].name, "drill.json"]
    assert folders.newest(tmp_path) == made[3]


def test_a_pair_of_keys_is_made_once_and_told(tmp_path: Path) -> None:
    environment = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")})
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    first, note = folders.recipient(environment, environ)
    assert str(tmp_path / "config" / "leandata" / "backup-local.key") in note
    assert folders.recipient(environment, environ) == (first, "")


def test_differences_are_named_with_both_figures() -> None:
    before = {"a": {"rows": 1, "sums": {"usd": "1.10"}}, "b": {"rows": 1, "sums": {}}}
    after = {"a": {"rows": 2, "sums": {"usd": "1.11"}}, "c": {"rows": 0, "sums": {}}}
    assert differences(before, before) == []
    assert differences(before, after) == [
        "a: 2 rows instead of 1",
        "a: usd adds up to 1.11 instead of 1.10",
        "b is lost",
        "c is new",
    ]


def test_a_file_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "lake" / "raw").mkdir(parents=True)
    (tmp_path / "lake" / "raw" / "whole.parquet").write_bytes(b"1")
    (tmp_path / "lake" / "raw" / "half.parquet#3").write_bytes(b"1")
    copied = lake.take(tmp_path / "lake", tmp_path / "backup", earlier=None)
    assert [one.path for one in copied.pieces] == ["lake/raw/whole.parquet"]


def test_parts_are_chosen_in_the_order_of_a_backup_and_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    assert chosen("") == ("database", "warehouse", "lake", "secrets", "state")
    assert chosen("lake, database") == ("database", "lake")
    with pytest.raises(BackupError, match="PART is one of"):
        chosen("lakes")
    assert in_the_way(tmp_path, ("lake", "secrets")) == []
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "one").touch()
    assert in_the_way(tmp_path, ("lake", "secrets")) == ["secrets"]


def test_the_plan_says_that_the_engine_stays_out_in_another_place(tmp_path: Path) -> None:
    manifest = Manifest.read(backup(tmp_path), environment="local")
    assert "stays out" in planned(manifest, ("state",), state=tmp_path)[0]
    assert "stays out" not in planned(manifest, ("state",), state=Path("/state"))[0]


def test_events_are_named_as_kept_or_lost() -> None:
    assert told("12:00", newest="11:59", kept=2).startswith(
        "Events accepted after 12:00: 2 were in the inbox and are kept"
    )
    assert told("12:00", newest="", kept=None).startswith("Events accepted after 12:00 are lost")
