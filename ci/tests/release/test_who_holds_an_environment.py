"""Who deploys is known to whoever else wants to, on one machine and over a bucket; nobody works beside another."""

from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from ci.engine import Engine
from ci.locks import LockedError, describe, hold
from ci.release.alone import alone
from ci.release.lease import KEY, MARGIN, SECONDS, Holder, Lease, free, told
from ci.release.people import who
from ci.release.store import Store
from ci.tests.buckets import BucketEngine
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

HOLDER = {"host": "box", "owner": "ann", "pid": 7, "since": 0.0, "token": "t", "until": 90.0}
MOMENTS = st.floats(min_value=1, max_value=4e9)


def holder(**changes: Any) -> Holder:
    return Holder(**{**HOLDER, **changes})


def local(tmp_path: Path) -> Environment:
    return Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")}, root=ROOT)


# -- the lock of one machine -------------------------------------------------------------------------------------------


def test_the_holder_of_a_lock_is_this_process_this_user_and_this_host(tmp_path: Path) -> None:
    with hold(tmp_path / "deep" / "x.lock", what="x"):
        found = json.loads((tmp_path / "deep" / "x.lock").read_text())
    assert (found["pid"], found["user"], found["host"]) == (os.getpid(), getpass.getuser(), socket.gethostname())
    assert found["since"].endswith("+00:00"), "moments are UTC"


def test_what_an_earlier_holder_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text("left by a process that was killed" * 100)
    with hold(tmp_path / "x.lock", what="x"):
        assert json.loads((tmp_path / "x.lock").read_text())["pid"] == os.getpid()


def test_two_locks_of_one_folder_do_not_know_each_other(tmp_path: Path) -> None:
    with hold(tmp_path / "a.lock", what="a"), hold(tmp_path / "b.lock", what="b"):
        assert {path.name for path in tmp_path.glob("*")} == {"a.lock", "b.lock"}


def test_who_comes_second_hears_who_is_there_and_what_to_do(tmp_path: Path) -> None:
    with (
        hold(tmp_path / "x.lock", what="the stack api"),
        pytest.raises(LockedError) as refused,
        hold(tmp_path / "x.lock", what="the stack api"),
    ):
        raise AssertionError("both hold it")
    assert refused.value.what.startswith("the stack api is being deployed since 20")
    assert refused.value.what.endswith(f"by pid {os.getpid()} ({getpass.getuser()}@{socket.gethostname()})")
    assert str(refused.value).endswith(". Wait for it, then try again")


def test_who_comes_second_changes_nothing_of_what_the_holder_wrote(tmp_path: Path) -> None:
    with hold(tmp_path / "x.lock", what="x"):
        before = (tmp_path / "x.lock").read_bytes()
        with pytest.raises(LockedError), hold(tmp_path / "x.lock", what="x"):
            raise AssertionError("both hold it")
        assert (tmp_path / "x.lock").read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "{", "null", "7", "[]", '"x"', "{}", '{"pid": 7}', '{"pid": 7, "user": "ann", "host": "box"}']
)
def test_a_holder_who_wrote_something_else_is_another_process(text: str) -> None:
    assert describe(text, what="local") == "local is being deployed by another process"


@given(text=st.text(max_size=60))
def test_whatever_a_lock_holds_it_is_told_in_one_sentence(text: str) -> None:
    assert describe(text, what="local").startswith("local is being deployed ")


def test_bytes_that_are_no_text_in_a_lock_are_another_process(tmp_path: Path) -> None:
    with hold(tmp_path / "x.lock", what="x"):
        (tmp_path / "x.lock").write_bytes(b"\xff\xfe{")
        with (
            pytest.raises(LockedError, match="x is being deployed by another process"),
            hold(tmp_path / "x.lock", what="x"),
        ):
            raise AssertionError("both hold it")


# -- what a lease says -------------------------------------------------------------------------------------------------


def test_a_holder_is_read_as_it_was_written() -> None:
    me = Holder.me(now=12.5)
    assert Holder.read(me.text()) == me
    assert me.until == 12.5 + SECONDS


def test_two_holders_of_one_process_are_told_apart() -> None:
    assert Holder.me(now=1.0).text() != Holder.me(now=1.0).text()


@pytest.mark.parametrize(
    "changes",
    [
        {"until": "soon"},
        {"since": None},
        {"until": [1]},
        {"until": float("nan")},
        {"until": float("inf")},
        {"since": 1e300},
        {"more": 1},
    ],
    ids=lambda changes: f"{next(iter(changes))}={next(iter(changes.values()))}",
)
def test_a_lease_with_values_that_are_no_moments_is_damaged_and_says_what_to_do(changes: dict[str, Any]) -> None:
    with pytest.raises(LeandataError) as refused:
        Holder.read(json.dumps({**HOLDER, **changes}))
    hint = "Look who deploys; remove the object when nobody does"
    assert str(refused.value) == f"the lock of deployments is damaged ({KEY}). {hint}"


@pytest.mark.parametrize("left_out", sorted(HOLDER))
def test_a_lease_without_one_of_its_parts_is_damaged(left_out: str) -> None:
    with pytest.raises(LeandataError, match="the lock of deployments is damaged"):
        Holder.read(json.dumps({name: value for name, value in HOLDER.items() if name != left_out}))


@given(until=MOMENTS, now=MOMENTS)
def test_a_lease_that_is_not_free_has_time_left_and_one_that_is_has_none(until: float, now: float) -> None:
    found = holder(until=until)
    seconds = int(told(found, now=now).partition("ends in ")[2].partition(" s")[0])
    if free(found, now=now):
        assert seconds == 0
    else:
        assert 0 <= seconds <= round(until + MARGIN - now)


@given(until=MOMENTS, now=MOMENTS, later=st.floats(min_value=0, max_value=1e6))
def test_what_is_free_stays_free(until: float, now: float, later: float) -> None:
    found = holder(until=until)
    assert free(found, now=now + later) or not free(found, now=now)


def test_a_lease_is_told_with_owner_process_and_host() -> None:
    said = told(holder(since=1764079200.0, until=1764079290.0), now=1764079230.0)
    assert said == (
        "is being deployed since 2025-11-25 14:00:00 UTC by ann (pid 7 on box); its lease ends in 90 s if it is dead"
    )


def test_a_lease_is_renewed_several_times_before_it_ends() -> None:
    lease = Lease(bucket(), environment="prod", seconds=60.0, clock=lambda: 100.0)
    assert lease.pause * 3 < 60.0
    assert (lease.now(), lease.until) == (100.0, 160.0)


# -- one operation on an environment -----------------------------------------------------------------------------------


def bucket() -> Store:
    return Store(inner=MemoryStore(), place="s3://state/prod")


def over_a_bucket(tmp_path: Path) -> BucketEngine:
    return BucketEngine(environment=local(tmp_path), pulumi=tmp_path / "pulumi", port=1)


def test_on_one_machine_the_second_operation_is_refused_by_the_environments_name(tmp_path: Path) -> None:
    engine = Engine(environment=local(tmp_path), pulumi=tmp_path / "pulumi")
    with (
        alone(engine) as first,
        pytest.raises(LockedError, match=rf"^local is being deployed since .* by pid {os.getpid()} "),
        alone(engine),
    ):
        raise AssertionError("two deploy at once")
    assert first is engine
    with alone(engine):
        assert (engine.folder / "locks" / "environment.lock").read_text()


def test_two_environments_of_one_machine_are_worked_on_at_once(tmp_path: Path) -> None:
    engines = [Engine(environment=local(tmp_path / name), pulumi=tmp_path / "pulumi") for name in ("one", "two")]
    with alone(engines[0]), alone(engines[1]):
        assert all((engine.folder / "locks" / "environment.lock").read_text() for engine in engines)


def test_over_a_bucket_the_lease_is_held_inside_and_given_up_after(tmp_path: Path) -> None:
    store = bucket()
    with alone(over_a_bucket(tmp_path), store=store) as engine:
        assert Holder.read(store.get(KEY)[0]).until > 0
        assert not engine.inherits, "nobody left anything behind"
        with pytest.raises(LockedError, match=r"^local is being deployed since .* if it is dead\. Wait for it"):
            Lease(store, environment="local").take(say=print)
    assert Holder.read(store.get(KEY)[0]).until == 0


def test_who_takes_a_dead_lease_over_inherits_what_was_left_locked_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = bucket()
    store.create(KEY, holder(until=90.0).text())
    with alone(over_a_bucket(tmp_path), store=store) as engine:
        assert engine.inherits
        assert engine.folder == over_a_bucket(tmp_path).folder, "it is the same engine in all else"
    said = "the lease of ann (pid 7 on box) ended at 00:01:30 UTC without being given up: taken over\n"
    assert capsys.readouterr().err == said


def test_work_that_fails_over_a_bucket_leaves_no_lease(tmp_path: Path) -> None:
    store = bucket()
    with pytest.raises(LeandataError, match="no such image"), alone(over_a_bucket(tmp_path), store=store):
        raise LeandataError("no such image")
    with alone(over_a_bucket(tmp_path), store=store) as engine:
        assert not engine.inherits


def test_a_damaged_lease_stops_a_deployment_before_it_begins(tmp_path: Path) -> None:
    store = bucket()
    store.create(KEY, json.dumps({**HOLDER, "until": "soon"}))
    with (
        pytest.raises(LeandataError, match="the lock of deployments is damaged"),
        alone(over_a_bucket(tmp_path), store=store),
    ):
        raise AssertionError("it began")


# -- who it was --------------------------------------------------------------------------------------------------------


def test_in_a_pipeline_it_is_the_person_who_began_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "ann")
    assert who() == "ann (CI)"
    assert Holder.me(now=0.0).owner == "ann (CI)"


@pytest.mark.parametrize("actor", [None, ""])
def test_elsewhere_it_is_the_user_of_the_machine(monkeypatch: pytest.MonkeyPatch, actor: str | None) -> None:
    if actor is None:
        monkeypatch.delenv("GITHUB_ACTOR", raising=False)
    else:
        monkeypatch.setenv("GITHUB_ACTOR", actor)
    assert who() == f"{getpass.getuser()}@{socket.gethostname()}"
