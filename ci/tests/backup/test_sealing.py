"""Secrets are sealed for one key: nothing leaks, nothing can be changed, and every bad key is told by one line."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.backup.manifest import BackupError
from ci.backup.sealing import MAGIC, make_key, pack, recipient_of, seal, unpack, unseal

HEAD = len(MAGIC) + 32 + 12
TAG = 16


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "new" / "folder" / "backup.key"
    make_key(path)
    return path


def tar(*members: tarfile.TarInfo, text: bytes = b"") -> bytes:
    """An archive of these members, as somebody else than `pack` may have made it."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for one in members:
            one.size = len(text) if one.isfile() else 0
            archive.addfile(one, io.BytesIO(text))
    return output.getvalue()


def member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, link, 0o644
    return found


# -- seals -------------------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=300))
def test_whatever_was_sealed_comes_back_as_it_was(key: Path, data: bytes) -> None:
    sealed = seal(data, recipient=recipient_of(key))
    assert unseal(sealed, key_file=key) == data
    assert len(sealed) == HEAD + len(data) + TAG


@given(at=st.integers(min_value=0, max_value=HEAD + 20 + TAG - 1), bit=st.integers(min_value=0, max_value=7))
def test_no_single_bit_of_a_sealed_file_can_be_changed_unnoticed(key: Path, at: int, bit: int) -> None:
    sealed = bytearray(seal(b"twenty bytes of text", recipient=recipient_of(key)))
    sealed[at] ^= 1 << bit
    with pytest.raises(BackupError):
        unseal(bytes(sealed), key_file=key)


@given(cut=st.integers(min_value=0, max_value=HEAD + 4 + TAG - 1))
def test_a_sealed_file_that_was_cut_does_not_open(key: Path, cut: int) -> None:
    sealed = seal(b"text", recipient=recipient_of(key))
    expected = "this is no sealed file" if cut < HEAD else "sealed for another key, or damaged"
    with pytest.raises(BackupError) as told:
        unseal(sealed[:cut], key_file=key)
    assert told.value.what == expected


def test_the_same_text_is_never_sealed_to_the_same_bytes(key: Path) -> None:
    made = {seal(b"text", recipient=recipient_of(key)) for _ in range(5)}
    assert len(made) == 5
    assert len({sealed[len(MAGIC) : len(MAGIC) + 32] for sealed in made}) == 5
    assert len({sealed[len(MAGIC) + 32 : HEAD] for sealed in made}) == 5


def test_a_sealed_file_of_a_sender_whose_key_is_no_point_is_refused_in_one_line(key: Path) -> None:
    with pytest.raises(BackupError) as told:
        unseal(MAGIC + bytes(32) + bytes(12) + b"text" * 5, key_file=key)
    assert str(told.value) == (
        f"sealed for another key, or damaged ({key}). Name the file of the right private key: LEANDATA_BACKUP_KEY=file"
    )


@pytest.mark.parametrize("raw", [bytes(32), b"\x01" + bytes(31)], ids=["zero", "one"])
def test_a_recipient_that_nobody_can_have_the_key_of_is_refused_in_one_line(raw: bytes) -> None:
    recipient = "x25519:" + base64.b64encode(raw).decode()
    with pytest.raises(BackupError) as told:
        seal(b"text", recipient=recipient)
    assert str(told.value) == (
        f"the recipient of backups is no public key: '{recipient}'. It is x25519: and 32 bytes in base64"
    )


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "x25519",
        "x25519:",
        "X25519:" + base64.b64encode(b"k" * 32).decode(),
        base64.b64encode(b"k" * 32).decode(),
        "x25519:" + base64.b64encode(b"k" * 31).decode(),
        "x25519:" + base64.b64encode(b"k" * 33).decode(),
        "x25519: " + base64.b64encode(b"k" * 32).decode(),
        "x25519:ключ",
    ],
)
def test_every_text_that_is_no_recipient_is_shown_in_the_one_line_that_refuses_it(recipient: str) -> None:
    with pytest.raises(BackupError) as told:
        seal(b"text", recipient=recipient)
    assert told.value.what == f"the recipient of backups is no public key: {recipient[:60]!r}"
    assert told.value.hint == "It is x25519: and 32 bytes in base64"


def test_a_very_long_recipient_is_shown_shortened() -> None:
    with pytest.raises(BackupError) as told:
        seal(b"", recipient="x" * 10_000)
    assert told.value.what == f"the recipient of backups is no public key: '{'x' * 60}'"


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_in_folders_that_only_its_owner_sees_into(tmp_path: Path) -> None:
    path = tmp_path / "settings" / "backup.key"
    told = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert told == recipient_of(path)
    assert told.startswith("x25519:")
    assert told.removeprefix("x25519:") != path.read_text().strip()


def test_a_key_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = make_key(path)
    with pytest.raises(FileExistsError):
        make_key(path)
    assert recipient_of(path) == first


def test_two_keys_open_nothing_of_each_other(tmp_path: Path) -> None:
    one, two = make_key(tmp_path / "one"), make_key(tmp_path / "two")
    assert one != two
    for recipient, wrong in ((one, tmp_path / "two"), (two, tmp_path / "one")):
        with pytest.raises(BackupError) as told:
            unseal(seal(b"text", recipient=recipient), key_file=wrong)
        assert (told.value.what, told.value.where) == ("sealed for another key, or damaged", str(wrong))


def test_a_key_may_have_been_copied_with_spaces_and_newlines_around_it(key: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    copied.write_text(f"\n  {key.read_text().strip()}\r\n\n")
    assert recipient_of(copied) == recipient_of(key)


@pytest.mark.parametrize(
    "text", [b"", b"AAAA", b"not base64 at all!", b"\xff\xfe\x00", base64.b64encode(b"k" * 64)], ids=repr
)
def test_a_file_that_is_no_key_is_named_in_one_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(text)
    with pytest.raises(BackupError) as told:
        recipient_of(path)
    assert str(told.value) == f"this is no private key ({path})"


def test_a_key_that_is_lost_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BackupError) as told:
        recipient_of(tmp_path / "none")
    assert str(told.value) == (
        f"there is no private key to open sealed parts with ({tmp_path / 'none'})."
        " Bring the key that the backup was sealed for, or say where it is: LEANDATA_BACKUP_KEY=file"
    )


def test_whether_it_is_a_sealed_file_is_said_before_any_key_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"^this is no sealed file$"):
        unseal(b"plain text", key_file=tmp_path / "none")


# -- packs -------------------------------------------------------------------------------------------------------------

NAMES = st.text(alphabet="abcxyz-._", min_size=1, max_size=8).filter(lambda name: name.strip(".") != "")
TREES = st.dictionaries(NAMES, st.tuples(st.binary(max_size=40), st.sampled_from([0o600, 0o640, 0o755, 0o400])))


@given(tree=TREES)
@settings(max_examples=40)
def test_a_pack_brings_back_every_file_with_its_bytes_and_its_mode(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, tuple[bytes, int]]
) -> None:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name, (data, mode) in tree.items():
        (source / name).write_bytes(data)
        (source / name).chmod(mode)
    assert unpack(pack(source), target) == sorted(tree)
    found = {path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in target.iterdir()}
    assert found == tree
    assert pack(target) == pack(source)


def test_a_pack_of_an_empty_folder_brings_back_nothing(tmp_path: Path) -> None:
    (tmp_path / "source" / "empty").mkdir(parents=True)
    assert unpack(pack(tmp_path / "source"), tmp_path / "target") == []
    assert not (tmp_path / "target").exists()


def test_what_is_not_wanted_is_asked_for_by_its_path_in_the_folder(tmp_path: Path) -> None:
    for name in ("a/b/one", "a/two", "three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    asked: list[str] = []
    pack(tmp_path, wanted=lambda name: bool(asked.append(name)))
    assert asked == ["a/b/one", "a/two", "three"]


def test_files_that_are_there_are_replaced_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "key").write_text("old")
    packed = pack(tmp_path / "source")
    target = tmp_path / "target"
    target.mkdir()
    (target / "key").write_text("newer and longer")
    (target / "other").write_text("mine")
    assert unpack(packed, target) == ["key"]
    assert {path.name: path.read_text() for path in target.iterdir()} == {"key": "old", "other": "mine"}


REFUSED = {
    "absolute": (member("/etc/passwd"), "/etc/passwd"),
    "above": (member("../key"), "../key"),
    "above within": (member("a/../../key"), "a/../../key"),
    "symbolic link": (member("link", kind=tarfile.SYMTYPE, link="/etc/passwd"), "link"),
    "hard link": (member("hard", kind=tarfile.LNKTYPE, link="/etc/passwd"), "hard"),
    "folder": (member("folder", kind=tarfile.DIRTYPE), "folder"),
    "pipe": (member("pipe", kind=tarfile.FIFOTYPE), "pipe"),
    "device": (member("device", kind=tarfile.CHRTYPE), "device"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_archive_that_holds_more_than_plain_files_in_it_is_refused(case: str, tmp_path: Path) -> None:
    made, name = REFUSED[case]
    with pytest.raises(BackupError) as told:
        unpack(tar(made), tmp_path / "in" / "here")
    assert str(told.value) == f"the archive holds {name!r}, which is no plain file in it"
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("data", [b"", b"no archive", b"\0" * 100, tar(member("key"), text=b"k" * 2000)[:700]])
def test_what_is_no_archive_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(BackupError) as told:
        unpack(data, tmp_path / "target")
    assert str(told.value) == "the archive is damaged"
    assert not (tmp_path / "target" / "key").exists()
