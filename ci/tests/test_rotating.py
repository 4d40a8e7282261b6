"""Keys are exchanged by two slots: whenever it is interrupted, the key that the service holds is one that is taken."""

from __future__ import annotations

import base64
import functools
import itertools
import json
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.cli import VERBS, run
from ci.keypairs import fingerprint, new_key, public
from ci.rotate import Edges, Next, Situation, Step, following, look, rotate
from ci.rotate_edges import Account, AwsVault, FileBook, FileVault, Rehearsal, edges_of, replace_file
from ci.verbs.rotate import service_of
from infra.components.snowflake.keys import NONE, Number, Slots
from infra.environment import Environment
from leandata.errors import LeandataError


def private(number: int) -> str:
    """A private key that only this file understands: a rotation does not look into keys."""
    return f"PRIVATE {number}"


def half(text: str) -> str:
    """Its public half."""
    if not text.startswith("PRIVATE "):
        return public(text)
    return base64.b64encode(f"public half of {text}".encode()).decode()


def key(number: int) -> str:
    """The public half of that key."""
    return half(private(number))


@functools.cache
def real(number: int) -> str:
    """One of a few real keys, made once: smaller than those of services."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    del number
    made = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    form = serialization.PrivateFormat.PKCS8
    return made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


class InterruptedHereError(Exception):
    """The power goes out."""


@dataclass
class World:
    """Vault, account and file in memory; after `left` changes the next one is interrupted, before or after it is made."""

    held: str = ""
    waiting: str = ""
    account: dict[Number, str] = field(default_factory=lambda: {1: "", 2: ""})
    file: Slots = NONE
    left: int = 10_000
    late: bool = False
    seen: list[str] = field(default_factory=list)
    refuses: bool = False

    def changed(self, act: Callable[[], None]) -> None:
        self.left -= 1
        if self.left < 0 and not self.late:
            raise InterruptedHereError
        act()
        self.seen.append(self.held)
        assert self.served(), "the service's key is refused"
        if self.left < 0:
            raise InterruptedHereError

    def served(self) -> bool:
        """Whether the service can log in with the key that it holds, if it ever could."""
        return not self.held or half(self.held) in self.account.values() or not self.had

    had: bool = False

    # -- Vault
    def current(self) -> str:
        return self.held

    def pending(self) -> str:
        return self.waiting

    def stage(self, text: str) -> None:
        self.changed(lambda: setattr(self, "waiting", text))

    def switch(self) -> None:
        def act() -> None:
            self.held, self.waiting = self.waiting, ""

        self.changed(act)

    # -- Directory
    def taken(self) -> Mapping[Number, str]:
        return {slot: fingerprint(found) for slot, found in self.account.items()}

    def put(self, slot: Number, text: str) -> None:
        self.changed(lambda: self.account.__setitem__(slot, text))

    def prove(self, text: str) -> None:
        if self.refuses or half(text) not in self.account.values():
            raise LeandataError("refused")

    # -- Book
    def slots(self) -> Slots:
        return self.file

    def write(self, slots: Slots) -> None:
        self.changed(lambda: setattr(self, "file", slots))

    def edges(self, *, first: int = 1, settle: Callable[[], None] = lambda: None) -> Edges:
        numbers = itertools.count(first)
        return Edges(
            vault=self, directory=self, book=self, settle=settle, make=lambda: private(next(numbers)), half=half
        )


def settled() -> World:
    """A service whose key 0 is in slot 1, everywhere."""
    world = World(held=private(0), account={1: key(0), 2: ""}, file=Slots(active=1, first=key(0)))
    world.had = True
    return world


def clean(world: World) -> bool:
    """Nothing is left to do, and everybody agrees on one key."""
    active = world.file.active
    other: Number = 2 if active == 1 else 1
    mine = half(world.held)
    alone = not world.file.slot(other) and not world.account[other] and not world.waiting
    return alone and world.file.slot(active) == mine == world.account[active]


def silent(_: str) -> None:
    return None


# -- a rotation that is not disturbed ----------------------------------------------------------------------------------


def test_the_new_key_comes_into_the_idle_slot_and_the_old_one_goes() -> None:
    world = settled()
    steps: list[str] = []
    rotate(world.edges(), said=steps.append)
    assert world.file == Slots(active=2, first="", second=key(1))
    assert clean(world)
    assert [step.split()[0] for step in steps] == ["make", "write", "have", "log", "write", "log"]


def test_the_second_rotation_comes_back_to_the_first_slot() -> None:
    world = settled()
    rotate(world.edges(first=1), said=silent)
    rotate(world.edges(first=2), said=silent)
    assert world.file == Slots(active=1, first=key(2), second="")
    assert clean(world)


def test_a_user_without_any_key_gets_the_first_one_into_the_first_slot() -> None:
    world = World()
    rotate(world.edges(), said=silent)
    assert world.file.active == 1
    assert clean(world)


def test_a_random_first_secret_is_given_its_slot_before_anything_else() -> None:
    world = World(held=private(0), file=Slots(active=1, first=key(5)), account={1: key(5), 2: ""})
    rotate(world.edges(), said=silent)
    assert world.held == private(0)
    assert clean(world)


def test_what_the_account_forgot_it_is_told_again() -> None:
    world = settled()
    world.account = {1: "", 2: ""}
    rotate(world.edges(), said=silent)
    assert world.held == private(0)
    assert clean(world)


def test_no_private_key_is_ever_said_aloud() -> None:
    world = settled()
    said: list[str] = []
    rotate(world.edges(), said=said.append)
    assert "PRIVATE" not in " ".join(said)
    assert all(key(number) not in " ".join(said) for number in (0, 1))


def test_the_old_key_is_cleared_only_when_everybody_has_read_the_new_one() -> None:
    world = settled()
    at_settling: list[tuple[str, ...]] = []
    rotate(world.edges(settle=lambda: at_settling.append(tuple(world.account.values()))), said=silent)
    assert at_settling == [(key(0), key(1))], "both work while the services change over"


# -- interruptions -----------------------------------------------------------------------------------------------------


def interrupted(world: World, *, left: int, late: bool) -> bool:
    """Rotate until the power goes out; whether it did."""
    world.left, world.late = left, late
    try:
        rotate(world.edges(), said=silent)
    except InterruptedHereError:
        return True
    finally:
        world.left = 10_000
    return False


def starts() -> Iterator[tuple[str, Callable[[], World]]]:
    yield "settled", settled
    yield "never had a key", World
    yield "a random first secret", lambda: World(held=private(0))
    yield "keys of somebody else on file", lambda: World(held=private(0), file=Slots(active=2, second=key(7)))


@pytest.mark.parametrize(("name", "begin"), list(starts()))
@pytest.mark.parametrize("late", [False, True])
def test_whenever_it_is_interrupted_the_same_command_ends_it(name: str, begin: Callable[[], World], late: bool) -> None:
    points = 0
    for left in itertools.count():
        world = begin()
        if not interrupted(world, left=left, late=late):
            break
        points += 1
        assert world.served()
        rotate(world.edges(first=3), said=silent)
        assert clean(world), f"{name}, interrupted at change {left}"
    assert points >= 2


def test_two_interruptions_at_once_are_mended_as_well() -> None:
    for first in range(8):
        for second in range(8):
            world = settled()
            interrupted(world, left=first, late=False)
            interrupted(world, left=second, late=True)
            rotate(world.edges(first=3), said=silent)
            assert clean(world)


def test_what_was_begun_is_finished_and_no_further_key_is_made() -> None:
    world = settled()
    assert interrupted(world, left=2, late=True)
    rotate(world.edges(first=4), said=silent)
    assert world.held == private(1)
    assert clean(world)


def test_a_new_key_that_is_refused_never_comes_into_use() -> None:
    world = settled()
    world.refuses = True
    with pytest.raises(LeandataError, match="refused"):
        rotate(world.edges(), said=silent)
    assert world.held == private(0)
    assert world.served()
    world.refuses = False
    rotate(world.edges(first=3), said=silent)
    assert world.held == private(1)


def test_a_secret_that_is_no_key_is_told_in_one_line() -> None:
    world = settled()
    world.held = "hunter2"
    with pytest.raises(LeandataError, match="the secret holds no private key") as told:
        look(world.edges())
    assert "hunter2" not in str(told.value)


def test_somebody_who_undoes_every_step_ends_it_with_a_clear_line() -> None:
    world = settled()
    world.put = lambda slot, text: None  # type: ignore[method-assign]
    with pytest.raises(LeandataError, match="somebody else changes the keys"):
        rotate(world.edges(), said=silent)


slots = st.sampled_from(["", key(0), key(1), key(2)])


@settings(max_examples=300, deadline=None)
@given(
    held=st.sampled_from([-1, 0, 1]),
    waiting=st.sampled_from([-1, 1, 2]),
    file=st.builds(Slots, active=st.sampled_from([1, 2]), first=slots, second=slots),
    account=st.tuples(slots, slots),
)
def test_from_whatever_state_it_ends_clean_and_never_locks_the_service_out(
    held: int, waiting: int, file: Slots, account: tuple[str, str]
) -> None:
    world = World(held=private(held) if held >= 0 else "", file=file, account={1: account[0], 2: account[1]})
    world.waiting = private(waiting) if waiting not in (-1, held) else ""
    world.had = bool(world.held) and half(world.held) in account
    rotate(world.edges(first=3), said=silent)
    assert clean(world)


def test_the_next_step_is_decided_by_what_is_there_alone() -> None:
    found = Situation(
        current=key(0), pending=key(1), file=Slots(active=1, first=key(0)), taken={1: fingerprint(key(0)), 2: ""}
    )
    assert following(found) == Next(step=Step.OFFER, slot=2, key=key(1)) == following(found)


# -- on this machine, with real keys -----------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Edges:
    environment = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")})
    return edges_of(environment, "airflow")


def test_a_real_key_has_4096_bits_and_its_fingerprint_is_that_of_its_public_half() -> None:
    from cryptography.hazmat.primitives import serialization

    made = new_key()
    loaded: Any = serialization.load_pem_private_key(made.encode(), password=None)
    assert loaded.key_size == 4096
    assert fingerprint(public(made)).startswith("SHA256:")
    assert len(fingerprint(public(made))) == 51


def test_the_rehearsal_lets_in_who_signs_with_a_key_that_is_taken(tmp_path: Path) -> None:
    directory = Rehearsal(path=tmp_path / "taken.json")
    directory.put(1, public(real(0)))
    directory.put(2, public(real(1)))
    directory.prove(real(0))
    directory.prove(real(1))
    with pytest.raises(LeandataError, match="it is in no slot"):
        directory.prove(real(2))
    directory.put(1, "")
    with pytest.raises(LeandataError, match="it is in no slot"):
        directory.prove(real(0))


def test_the_private_key_is_read_by_its_owner_alone(here: Edges, tmp_path: Path) -> None:
    vault = FileVault(path=tmp_path / "secrets" / "warehouse-airflow")
    vault.stage(private(0))
    assert stat.S_IMODE((tmp_path / "secrets" / "warehouse-airflow.next").stat().st_mode) == 0o600
    assert vault.current() == ""
    vault.switch()
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    assert (vault.current(), vault.pending()) == (private(0), "")


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    replace_file(path, "one")
    replace_file(path, "two")
    assert path.read_text() == "two"
    assert [found.name for found in path.parent.iterdir()] == ["file"]


def test_other_users_keep_their_keys(tmp_path: Path) -> None:
    mine, theirs = (FileBook(path=tmp_path / "keys.json", service=name) for name in ("airflow", "other"))
    theirs.write(Slots(active=2, second=key(5)))
    mine.write(Slots(first=key(0)))
    assert theirs.slots() == Slots(active=2, second=key(5))
    assert mine.slots() == Slots(first=key(0))


@pytest.mark.integration
def test_a_rotation_with_clients_logging_in_all_the_time_refuses_nobody(tmp_path: Path) -> None:
    vault = FileVault(path=tmp_path / "secret")
    directory = Rehearsal(path=tmp_path / "taken.json")
    book = FileBook(path=tmp_path / "keys.json", service="airflow")
    numbers = itertools.count(0)
    rounds, refused, over = [0, 0, 0], list[str](), threading.Event()

    def settle() -> None:
        """Until every client has logged in with what it read afterwards."""
        target = [count + 2 for count in rounds]
        while any(count < wanted for count, wanted in zip(rounds, target, strict=True)) and not refused:
            threading.Event().wait(0.005)

    edges = Edges(
        vault=vault, directory=directory, book=book, settle=settle, make=lambda: real(next(numbers) % 3)
    )  # fmt: skip
    rotate(Edges(vault=vault, directory=directory, book=book, make=lambda: real(3)), said=silent)

    def client(number: int) -> None:
        while not over.is_set():
            held = vault.current()
            try:
                directory.prove(held)
            except LeandataError as error:
                refused.append(str(error))
            rounds[number] += 1

    clients = [threading.Thread(target=client, args=(number,)) for number in range(3)]
    for one in clients:
        one.start()
    try:
        for _ in range(4):
            rotate(edges, said=silent)
    finally:
        over.set()
        for one in clients:
            one.join()
    assert refused == []
    assert min(rounds) >= 8


def test_the_verb_rotates_here_and_says_which_slot_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEANDATA_STATE", str(tmp_path))
    monkeypatch.setenv("LEANDATA_ENV", "local")
    Environment.current.cache_clear()
    try:
        assert run(["rotate", "--env", "local", "--user", "airflow", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["service"], told["active"], told["steps"][0]) == ("airflow", 1, "make a new key pair")
        assert run(["rotate", "--env", "local", "--user", "LEANDATA_AIRFLOW", "--dry"]) == 0
        assert "a new rotation would begin" in capsys.readouterr().out
    finally:
        Environment.current.cache_clear()


def test_a_stranger_is_told_who_there_is() -> None:
    environment = Environment.load("local", environ={})
    assert service_of(environment, "LEANDATA_AIRFLOW") == "airflow"
    with pytest.raises(LeandataError, match="no user of the warehouse is called 'root'") as told:
        service_of(environment, "root")
    assert "USER is one of: airflow" in str(told.value)


def test_a_stand_in_in_a_cluster_asks_for_no_keys() -> None:
    with pytest.raises(LeandataError, match="asks for no keys"):
        edges_of(Environment.load("cluster", environ={}), "airflow")


def test_the_verb_is_known() -> None:
    assert VERBS["rotate"].done_by == "ci.verbs.rotate:rotated"


# -- Secrets Manager ---------------------------------------------------------------------------------------------------


class SecretsManager:
    """One secret with its versions, as far as a rotation asks; the first version is the current one at once."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.stages: dict[str, str] = {}

    def describe_secret(self, **_: Any) -> dict[str, Any]:
        found = {version: [name for name, at in self.stages.items() if at == version] for version in self.versions}
        return {"VersionIdsToStages": {version: names for version, names in found.items() if names}}

    def get_secret_value(self, **asked: Any) -> dict[str, Any]:
        return {"SecretString": self.versions[self.stages[asked["VersionStage"]]]}

    def put_secret_value(self, **asked: Any) -> dict[str, Any]:
        version = f"v{len(self.versions)}"
        self.versions[version] = asked["SecretString"]
        for stage in [*asked["VersionStages"], *(["AWSCURRENT"] if len(self.versions) == 1 else [])]:
            self.stages[stage] = version
        return {}

    def update_secret_version_stage(self, **asked: Any) -> dict[str, Any]:
        stage = asked["VersionStage"]
        assert self.stages.get(stage) == asked.get("RemoveFromVersionId"), "AWS demands to know where the stage was"
        self.stages[stage] = asked["MoveToVersionId"]
        return {}


def with_key(number: int) -> SecretsManager:
    manager = SecretsManager()
    manager.put_secret_value(SecretString=private(number), VersionStages=["AWSCURRENT"])
    return manager


def test_a_rotation_in_secrets_manager_moves_the_stage_and_keeps_the_old_version() -> None:
    manager = with_key(0)
    world = settled()
    edges = Edges(
        vault=AwsVault(secret="s", region="eu-central-1", client=manager), directory=world, book=world,
        make=lambda: private(1), half=half,
    )  # fmt: skip
    world.had = False
    rotate(edges, said=silent)
    assert edges.vault.current() == private(1)
    assert edges.vault.pending() == ""
    assert world.file == Slots(active=2, first="", second=key(1))
    assert manager.versions == {"v0": private(0), "v1": private(1)}


def test_pods_never_read_a_key_that_still_waits() -> None:
    manager = with_key(0)
    vault = AwsVault(secret="s", region="eu-central-1", client=manager)
    vault.stage(private(1))
    assert manager.get_secret_value(VersionStage="AWSCURRENT")["SecretString"] == private(0)
    assert (vault.current(), vault.pending()) == (private(0), private(1))


def test_a_secret_without_a_value_gets_its_first_key() -> None:
    manager, world = SecretsManager(), World()
    vault = AwsVault(secret="s", region="eu-central-1", client=manager)
    assert (vault.current(), vault.pending()) == ("", "")
    rotate(Edges(vault=vault, directory=world, book=world, make=lambda: private(1), half=half), said=silent)
    assert vault.current() == private(1)
    assert world.file.slot(world.file.active) == key(1)


def test_what_aws_refuses_is_told_with_its_code() -> None:
    from botocore.exceptions import ClientError

    class Refusing:
        def describe_secret(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "DescribeSecret")

    with pytest.raises(LeandataError, match="the secret cannot be used: AccessDeniedException"):
        AwsVault(secret="s", region="eu-central-1", client=Refusing()).current()


# -- a Snowflake account -----------------------------------------------------------------------------------------------


class Connection:
    """A connection that writes down what it is asked, and answers DESCRIBE USER."""

    def __init__(self, asked: list[str], rows: list[tuple[str, str]]) -> None:
        self.asked, self.rows = asked, rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def cursor(self) -> Connection:
        return self

    def execute(self, sql: str) -> None:
        self.asked.append(sql)

    def fetchall(self) -> list[tuple[str, str]]:
        return self.rows

    def close(self) -> None:
        return None


def test_the_account_is_asked_for_fingerprints_and_told_keys_by_slot() -> None:
    asked: list[str] = []
    rows = [("RSA_PUBLIC_KEY_FP", fingerprint(key(0))), ("RSA_PUBLIC_KEY_2_FP", "null"), ("NAME", "X")]
    account = Account(user="LEANDATA_AIRFLOW", connect=lambda **_: Connection(asked, rows))
    assert account.taken() == {1: fingerprint(key(0)), 2: ""}
    account.put(2, "MIIB")
    account.put(1, "")
    assert asked[1::2] == [
        'DESCRIBE USER "LEANDATA_AIRFLOW"',
        "ALTER USER \"LEANDATA_AIRFLOW\" SET RSA_PUBLIC_KEY_2 = 'MIIB'",
        'ALTER USER "LEANDATA_AIRFLOW" UNSET RSA_PUBLIC_KEY',
    ]
    assert set(asked[::2]) == {"USE ROLE USERADMIN"}


def test_a_key_is_proven_by_logging_in_as_the_user_with_it() -> None:
    given: dict[str, Any] = {}

    def connect(**options: Any) -> Connection:
        given.update(options)
        return Connection([], [])

    Account(user="LEANDATA_AIRFLOW", connect=connect).prove(real(0))
    assert (given["user"], given["authenticator"]) == ("LEANDATA_AIRFLOW", "SNOWFLAKE_JWT")
    assert isinstance(given["private_key"], bytes)


def test_what_snowflake_refuses_is_told_in_one_line() -> None:
    import snowflake.connector

    def refuse(**_: Any) -> Connection:
        raise snowflake.connector.errors.DatabaseError("JWT token is\ninvalid")

    with pytest.raises(LeandataError, match="Snowflake refuses: JWT token is invalid"):
        Account(user="U", connect=refuse).prove(real(0))
