"""Backups in their folder: named by the moment, the newest last, old ones removed, and one key for whoever takes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.backup import folders
from ci.backup.manifest import BackupError
from ci.backup.sealing import make_key, recipient_of
from infra.environment import Environment
from infra.parts.backup import Backup

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RECIPIENT = "x25519:" + "A" * 42 + "E="


def made(place: Path, *, now: datetime = NOON) -> str:
    """A backup that is whole; its name."""
    return folders.finish(folders.begin(place, now=now)).name


def local(state: Path, *, recipient: str = "") -> Environment:
    found = Environment.load("local", environ={"LEANDATA_STATE": str(state)})
    return replace(found, file=found.file.model_copy(update={"backup": Backup(recipient=recipient)}))


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_backup_is_named_by_its_moment_and_partial_until_it_is_whole(tmp_path: Path) -> None:
    folder = folders.begin(tmp_path / "new" / "place", now=NOON)
    assert folder == tmp_path / "new" / "place" / "20261125T120000Z.partial"
    assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]
    assert folders.backups(folder.parent) == []
    whole = folders.finish(folder)
    assert whole == tmp_path / "new" / "place" / "20261125T120000Z"
    assert not folder.exists()
    assert folders.backups(folder.parent) == [whole]


def test_the_moment_is_told_in_utc_wherever_it_was_taken(tmp_path: Path) -> None:
    berlin = timezone(timedelta(hours=1))
    assert made(tmp_path, now=datetime(2026, 11, 26, 0, 30, tzinfo=berlin)) == "20261125T233000Z"


def test_what_was_written_into_a_partial_backup_is_in_the_whole_one(tmp_path: Path) -> None:
    folder = folders.begin(tmp_path, now=NOON)
    (folder / "file").write_text("text")
    assert (folders.finish(folder) / "file").read_text() == "text"


def test_backups_of_one_second_are_numbered_and_an_interrupted_one_keeps_its_number(tmp_path: Path) -> None:
    assert made(tmp_path) == "20261125T120000Z"
    assert folders.begin(tmp_path, now=NOON).name == "20261125T120000Z-2.partial"
    assert made(tmp_path) == "20261125T120000Z-3"


def test_the_twelfth_backup_of_one_second_is_the_newest(tmp_path: Path) -> None:
    names = [made(tmp_path) for _ in range(12)]
    assert names[1:3] == ["20261125T120000Z-2", "20261125T120000Z-3"]
    assert [path.name for path in folders.backups(tmp_path)] == names
    assert folders.newest(tmp_path).name == "20261125T120000Z-12"


def test_a_backup_just_taken_is_never_the_one_that_is_removed(tmp_path: Path) -> None:
    for _ in range(5):
        name = made(tmp_path)
        folders.prune(tmp_path, keep=1)
        assert [path.name for path in folders.backups(tmp_path)] == [name]


@given(offsets=st.lists(st.integers(min_value=0, max_value=3), min_size=1, max_size=8), keep=st.integers(1, 4))
@settings(max_examples=40)
def test_however_they_are_taken_the_last_ones_are_kept_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, offsets: list[int], keep: int
) -> None:
    place = tmp_path_factory.mktemp("backups")
    names: list[str] = []
    for offset in sorted(offsets):
        names.append(made(place, now=NOON + timedelta(seconds=offset)))
        folders.prune(place, keep=keep)
    assert [path.name for path in folders.backups(place)] == names[-keep:]
    assert len(set(names)) == len(names)


# -- which are there ---------------------------------------------------------------------------------------------------

OTHERS = ("20261125T120000", "20261125T120000Z-", "20261125T120000Z-x", "2026", "x20261125T120000Z", "notes", ".git")


@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_of_another_name_is_no_backup_and_is_never_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / f"{name}.partial").mkdir()
    assert folders.backups(tmp_path) == []
    assert folders.prune(tmp_path, keep=1) == []
    assert (tmp_path / name).is_dir()
    assert (tmp_path / f"{name}.partial").is_dir()


def test_a_file_with_the_name_of_a_backup_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "20261125T120000Z").write_text("")
    assert folders.backups(tmp_path) == []


@pytest.mark.parametrize("there", [True, False])
def test_without_a_backup_the_one_line_says_how_to_take_one(tmp_path: Path, there: bool) -> None:
    place = tmp_path if there else tmp_path / "none"
    assert folders.backups(place) == []
    with pytest.raises(BackupError) as told:
        folders.newest(place)
    assert str(told.value) == f"there is no backup ({place}). Take one: make backup"


def test_an_interrupted_backup_is_never_the_newest(tmp_path: Path) -> None:
    whole = made(tmp_path)
    folders.begin(tmp_path, now=NOON + timedelta(days=1))
    assert folders.newest(tmp_path).name == whole


def test_fewer_backups_than_are_kept_are_all_kept(tmp_path: Path) -> None:
    names = [made(tmp_path, now=NOON + timedelta(days=day)) for day in range(3)]
    for keep in (3, 4, 1000):
        assert folders.prune(tmp_path, keep=keep) == []
    assert [path.name for path in folders.backups(tmp_path)] == names


def test_old_backups_go_with_all_they_hold_and_files_shared_with_newer_ones_stay_readable(tmp_path: Path) -> None:
    old, new = tmp_path / made(tmp_path), tmp_path / made(tmp_path, now=NOON + timedelta(days=1))
    (old / "lake").mkdir()
    (old / "lake" / "one").write_text("shared")
    (new / "one").hardlink_to(old / "lake" / "one")
    assert folders.prune(tmp_path, keep=1) == [old.name]
    assert not old.exists()
    assert (new / "one").read_text() == "shared"


def test_backups_lie_beside_the_state_folder_so_that_removing_it_spares_them(tmp_path: Path) -> None:
    environment = local(tmp_path / "place" / "local")
    assert folders.default_folder(environment) == tmp_path / "place" / "local-backups"
    assert environment.state not in folders.default_folder(environment).parents


# -- the key -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LEANDATA_BACKUP_KEY": "/keys/mine", "XDG_CONFIG_HOME": "/xdg", "HOME": "/home/me"}, "/keys/mine"),
        ({"XDG_CONFIG_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/leandata/backup-prod.key"),
        ({"HOME": "/home/me"}, "/home/me/.config/leandata/backup-prod.key"),
        ({"LEANDATA_BACKUP_KEY": "", "XDG_CONFIG_HOME": "", "HOME": "/me"}, "/me/.config/leandata/backup-prod.key"),
    ],
    ids=["named", "settings folder", "home", "empty settings do not count"],
)
def test_the_private_key_lies_where_the_user_says_or_among_their_settings(
    environ: dict[str, str], expected: str
) -> None:
    assert folders.key_path("prod", environ) == Path(expected)


def test_without_any_setting_the_key_lies_in_the_users_own_home() -> None:
    assert folders.key_path("prod", {}) == Path("~/.config/leandata/backup-prod.key").expanduser()


def test_each_environment_has_a_key_of_its_own() -> None:
    assert folders.key_path("dev", {"HOME": "/me"}) != folders.key_path("prod", {"HOME": "/me"})


def test_a_recipient_of_the_environments_file_is_taken_and_no_key_is_made(tmp_path: Path) -> None:
    environment = local(tmp_path / "state", recipient=RECIPIENT)
    assert folders.recipient(environment, {"HOME": str(tmp_path)}) == (RECIPIENT, "")
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_there_is_used_and_not_spoken_of(tmp_path: Path) -> None:
    key = tmp_path / "mine"
    expected = make_key(key)
    assert folders.recipient(local(tmp_path / "state"), {"LEANDATA_BACKUP_KEY": str(key)}) == (expected, "")


def test_a_new_pair_of_keys_is_told_with_the_place_that_must_be_kept(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "mine"
    recipient, note = folders.recipient(local(tmp_path / "state"), {"LEANDATA_BACKUP_KEY": str(key)})
    assert recipient == recipient_of(key)
    assert note == (
        f"A pair of keys was made. Without {key} nobody can open the secrets in backups: keep a copy elsewhere."
    )


def test_a_damaged_key_stops_the_backup_and_is_not_replaced(tmp_path: Path) -> None:
    key = tmp_path / "mine"
    key.write_text("damaged")
    with pytest.raises(BackupError) as told:
        folders.recipient(local(tmp_path / "state"), {"LEANDATA_BACKUP_KEY": str(key)})
    assert str(told.value) == f"this is no private key ({key})"
    assert key.read_text() == "damaged"
