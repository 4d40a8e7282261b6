"""Secrets, lake and the engine's state come back into a state folder, by themselves and without any server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from ci.backup import folders, lake, sealing
from ci.backup.databases import Server
from ci.backup.manifest import PARTS, BackupError, Manifest, PartRecord, Piece, piece
from ci.backup.restoring import Outcome, Restore, chosen, in_the_way, planned, same_place, told
from ci.backup.taking import Places, of_the_engine, take
from infra.environment import ROOT, Environment
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.settings import WarehouseAddress
from leandata.tables import schema

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ORDERS = dataset("shop.orders")
DAY = date(2026, 11, 2)
CENTS = ("10.01", "20.02", "0.07")


def places(state: Path) -> Places:
    """Those of an environment whose servers do not run: nothing listens on port 1."""
    address = WarehouseAddress.parse("snowflake://leandata@fakesnow?host=127.0.0.1&port=1&protocol=http")
    server = Server(host="127.0.0.1", port=1, password_file=state / "secrets" / "postgres-password")
    return Places(state=state, server=server, warehouse=address)


def orders() -> pa.Table:
    rows = [
        {"customer_id": n, "ordered_on": DAY, "quantity": 1, "amount_usd": Decimal(text)}
        for n, text in enumerate(CENTS)
    ]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


class World:
    """An environment with secrets, a state of the engine and a lake; a backup of these three; a place to restore in."""

    def __init__(self, place: Path) -> None:
        self.old, self.new, self.key = place / "old", place / "new", place / "key"
        for name, text in {
            "secrets/api-key": "key", "secrets/postgres-password": "pass", "engine/passphrase": "words",
            "engine/backend/.pulumi/stacks/lake.json": "{}",
        }.items():  # fmt: skip
            (self.old / name).parent.mkdir(parents=True, exist_ok=True)
            (self.old / name).write_text(text)
            (self.old / name).chmod(0o600)
        Lake(f"file://{self.old / 'lake' / 'raw'}").publish(ORDERS, {DAY: orders()}, run="first")
        recipient = sealing.make_key(self.key)
        self.folder = folders.begin(place / "backups", now=NOW)
        copied = lake.take(self.old / "lake", self.folder, earlier=None)
        pieces: dict[str, tuple[Piece, ...]] = {"lake": copied.pieces}
        for part, source in {"secrets": "secrets", "state": "engine"}.items():
            target = self.folder / f"{part}.sealed"
            target.write_bytes(sealing.seal(sealing.pack(self.old / source), recipient=recipient))
            pieces[part] = (piece(self.folder, target),)
        totals = {"lake": lake.totals(self.folder / "lake")}
        parts = {
            part: PartRecord(taken=NOW.isoformat(), pieces=found, totals=totals.get(part, {}))
            for part, found in pieces.items()
        }
        self.manifest = Manifest(
            environment="local", commit="c", started=NOW.isoformat(), finished=NOW.isoformat(), state=str(self.old),
            recipient=recipient, parts=parts,
        )  # fmt: skip

    def work(self, *parts: str, state: Path | None = None, key: Path | None = None) -> Restore:
        return Restore(
            folder=self.folder, manifest=self.manifest, parts=parts, places=places(state or self.new), root=ROOT,
            key_file=key or self.key,
        )  # fmt: skip

    def restored(self, *parts: str, state: Path | None = None) -> tuple[Outcome, list[str]]:
        """What a restore of these parts did, and what it said."""
        said: list[str] = []
        work = self.work(*parts, state=state)
        return work.run(work.unsealed(), said=said.append), said


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# -- what comes back ---------------------------------------------------------------------------------------------------


def test_secrets_come_back_with_their_modes_and_nothing_else_does(world: World) -> None:
    outcome, said = world.restored("secrets")
    assert said == ["  secrets    2 files"]
    assert (outcome.differences, outcome.notes, outcome.events) == ([], [], "")
    assert sorted(path.name for path in world.new.iterdir()) == ["secrets"]
    found = {path.name: (path.read_text(), path.stat().st_mode & 0o777) for path in (world.new / "secrets").iterdir()}
    assert found == {"api-key": ("key", 0o600), "postgres-password": ("pass", 0o600)}


def test_a_secret_made_since_the_backup_stays(world: World) -> None:
    (world.old / "secrets" / "newer").write_text("mine")
    (world.old / "secrets" / "api-key").write_text("changed")
    world.restored("secrets", state=world.old)
    assert (world.old / "secrets" / "newer").read_text() == "mine"
    assert (world.old / "secrets" / "api-key").read_text() == "key"


def test_the_lake_comes_back_to_the_cent(world: World) -> None:
    outcome, said = world.restored("lake")
    assert said == ["  lake       2 files put back, 0 were whole"]
    assert (outcome.differences, outcome.notes) == ([], [])
    assert lake.totals(world.new / "lake") == {"raw/shop.orders": {"rows": 3, "sums": {"amount_usd": "30.10"}}}


def test_only_lost_and_damaged_files_of_a_lake_are_put_back(world: World) -> None:
    assert world.restored("lake", state=world.old)[1] == ["  lake       0 files put back, 2 were whole"]
    data = next((world.old / "lake" / "raw" / "shop").rglob("*.parquet"))
    right = data.read_bytes()
    data.write_bytes(right[:-1] + b"\0")
    assert world.restored("lake", state=world.old)[1] == ["  lake       1 files put back, 1 were whole"]
    assert data.read_bytes() == right


def test_totals_of_the_lake_that_are_not_those_at_the_backup_are_told(world: World) -> None:
    record = world.manifest.parts["lake"]
    record.totals["raw/shop.orders"]["sums"]["amount_usd"] = "30.11"
    record.totals["raw/shop.customers"] = {"rows": 1, "sums": {}}
    assert world.restored("lake")[0].differences == [
        "lake raw/shop.customers is lost",
        "lake raw/shop.orders: amount_usd adds up to 30.10 instead of 30.11",
    ]


def test_the_engines_state_comes_back_in_the_place_it_was_taken_from(world: World) -> None:
    (world.old / "engine" / "passphrase").unlink()
    outcome, said = world.restored("state", state=world.old)
    assert said == ["  state      2 files"]
    assert (outcome.differences, outcome.notes) == ([], [])
    assert (world.old / "engine" / "passphrase").read_text() == "words"


def test_the_engines_state_stays_out_of_any_other_place_and_that_is_told(world: World) -> None:
    outcome, said = world.restored("state")
    assert (said, outcome.differences) == ([], [])
    assert outcome.notes == [f"the engine's state speaks of {world.old}: it is made anew for {world.new}"]
    assert not (world.new / "engine").exists()


@pytest.mark.parametrize("text", ["", '{"version": 3, "depl', "\x00"], ids=["empty", "cut", "zero"])
def test_a_stack_of_the_engine_that_is_not_whole_is_told(world: World, text: str) -> None:
    stacks = world.old / "engine" / "backend" / ".pulumi" / "stacks"
    (stacks / "airflow.json").write_text(text)
    assert world.restored("state", state=world.old)[0].differences == ["state airflow.json is not whole"]


# -- before anything is touched ----------------------------------------------------------------------------------------


def test_with_another_key_nothing_sealed_opens_and_nothing_is_touched(world: World, tmp_path: Path) -> None:
    sealing.make_key(tmp_path / "other")
    with pytest.raises(BackupError, match="sealed for another key, or damaged"):
        world.work("secrets", "lake", key=tmp_path / "other").unsealed()
    assert not world.new.exists()


def test_the_lake_alone_comes_back_without_any_key(world: World, tmp_path: Path) -> None:
    work = world.work("lake", key=tmp_path / "none")
    assert work.unsealed() == {}
    assert work.run({}, said=lambda _: None).differences == []
    with pytest.raises(BackupError, match="there is no private key"):
        world.work("state", key=tmp_path / "none").unsealed()


@pytest.mark.parametrize(
    ("part", "folder"), [("database", "postgres"), ("warehouse", "warehouse"), ("lake", "lake")]
)  # fmt: skip
def test_what_was_put_aside_goes_when_all_runs_again_and_only_for_the_parts_restored(
    world: World, part: str, folder: str
) -> None:
    aside = world.new / f"{folder}.before-restore"
    (aside / "data").mkdir(parents=True)
    world.work("secrets").done()
    assert aside.is_dir()
    world.work(part).done()
    assert not aside.exists()
    world.work(part).done()


# -- what is chosen and planned ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PARTS),
        (" , ", PARTS),
        ("state", ("state",)),
        ("state,secrets", ("secrets", "state")),
        (" lake ,lake,, warehouse", ("warehouse", "lake")),
    ],
)
def test_parts_are_chosen_by_name_once_each_in_the_order_of_a_backup(text: str, expected: tuple[str, ...]) -> None:
    assert chosen(text) == expected


@pytest.mark.parametrize(
    ("text", "strange"), [("Lake", "Lake"), ("lake,zzz,abc", "abc"), ("lake database", "lake database")]
)
def test_an_unknown_part_is_named_with_those_that_there_are(text: str, strange: str) -> None:
    with pytest.raises(BackupError) as refused:
        chosen(text)
    assert str(refused.value) == (
        f"unknown part {strange!r}. PART is one of: database, lake, secrets, state, warehouse"
    )


@pytest.mark.parametrize(
    ("part", "folder"),
    {"database": "postgres", "lake": "lake", "secrets": "secrets", "state": "engine", "warehouse": "warehouse"}.items(),
)
def test_a_part_is_in_the_way_when_its_folder_holds_anything(tmp_path: Path, part: str, folder: str) -> None:
    assert in_the_way(tmp_path / "none", PARTS) == []
    (tmp_path / folder).mkdir()
    assert in_the_way(tmp_path, PARTS) == []
    (tmp_path / folder / ".hidden").touch()
    assert in_the_way(tmp_path, PARTS) == [part]
    assert in_the_way(tmp_path, tuple(one for one in PARTS if one != part)) == []


def test_the_plan_has_a_sentence_a_part_that_names_the_place(world: World) -> None:
    said = planned(world.manifest, PARTS, state=world.old)
    assert [line.partition(":")[0] for line in said] == list(PARTS)
    assert all(str(world.old) in line for line in said)
    assert planned(world.manifest, ("lake",), state=world.new) == [
        f"lake: files that are lost or damaged are put back under {world.new}/lake; newer ones stay"
    ]
    assert planned(world.manifest, ("state",), state=world.new) == [
        f"state: the engine's state stays out: it speaks of {world.old}, and is made anew"
    ]


def test_the_same_place_is_the_same_path(world: World) -> None:
    assert same_place(world.manifest, world.old)
    assert not same_place(world.manifest, world.old / "more")


@pytest.mark.parametrize(
    ("newest", "kept", "sentence"),
    [
        ("", None, "Events accepted after T are lost: no inbox that held them is left; the backup holds no event."),
        ("N", None, "Events accepted after T are lost: no inbox that held them is left; the newest event of the backup is of N."),
        ("", 0, "Events accepted after T: 0 were in the inbox and are kept, none is lost; the backup holds no event."),
        ("N", 5, "Events accepted after T: 5 were in the inbox and are kept, none is lost; the newest event of the backup is of N."),
    ],
)  # fmt: skip
def test_no_inbox_means_that_events_are_lost_and_an_empty_one_does_not(
    newest: str, kept: int | None, sentence: str
) -> None:
    assert told("T", newest=newest, kept=kept) == sentence


# -- what is taken -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("backend/.pulumi/stacks/lake.json", True),
        ("backend/.pulumi/history/lake/1.json", True),
        ("backend/.pulumi/locks/organization/1.json", False),
        ("passphrase", True),
        ("work/lake/Pulumi.yaml", True),
        ("plugins/machine", False),
        ("cache/backend/file", False),
    ],
)
def test_of_the_engine_its_state_is_taken_and_no_cache_and_no_lock(name: str, wanted: bool) -> None:
    assert of_the_engine(name) is wanted


def test_the_places_of_an_environment_follow_its_ports_and_its_state(tmp_path: Path) -> None:
    environ = {"LEANDATA_STATE": str(tmp_path / "state"), "LEANDATA_PORT_BASE": "23400"}
    environment = Environment.load("local", environ=environ)
    found = Places.of(environment)
    assert found.lake == tmp_path / "state" / "lake"
    assert found.server == Server(
        host="127.0.0.1",
        port=environment.port("postgres"),
        password_file=tmp_path / "state" / "secrets" / "postgres-password",
    )
    assert 23400 <= found.server.port < 24400
    moved = Places.of(Environment.load("local", environ={**environ, "LEANDATA_PORT_BASE": "24400"}))
    assert moved.server.port == found.server.port + 1000
    assert moved.warehouse != found.warehouse


def taking(world: World, to: Path, *, said: Callable[[str], None] = lambda _: None) -> None:
    take(
        places(world.old), environment="local", to=to, keep=1, recipient=world.manifest.recipient, commit="", said=said
    )


def test_a_backup_of_servers_that_do_not_run_fails_and_the_backups_before_stay(world: World) -> None:
    before = folders.finish(world.folder)
    with pytest.raises(BackupError) as refused:
        taking(world, before.parent)
    assert refused.value.what.startswith("PostgreSQL cannot be reached: ")
    assert refused.value.where == "127.0.0.1:1/postgres"
    assert "\n" not in str(refused.value)
    assert folders.backups(before.parent) == [before]
    assert [path.suffix for path in before.parent.iterdir() if path != before] == [".partial"]


def test_the_manifest_of_a_backup_tells_no_secret(world: World) -> None:
    world.manifest.write(world.folder)
    text = (world.folder / "manifest.json").read_text()
    assert json.loads(text)["recipient"].startswith("x25519:")
    everything = b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file())
    private = world.key.read_bytes().strip()
    assert private not in everything
    assert b"words" not in everything
