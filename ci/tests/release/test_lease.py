"""The lease of an environment: one holder, never broken while it lives, ended by itself when its holder was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from obstore.store import S3Store

from ci.locks import LockedError
from ci.release.lease import KEY, MARGIN, SECONDS, Holder, Lease, free, held, told
from ci.release.store import Store, TakenError
from ci.tests.buckets import S3, SETTINGS, serving
from infra.environment import ROOT
from leandata.errors import LeandataError

SAID: list[str] = []


class Memory:
    """Objects with tags, as a bucket has them; `lost_answers` writes are done, but said to have failed."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, str]] = {}
        self.lost_answers = self.unreachable = 0
        self._mutex = threading.Lock()
        self._count = 0

    def get(self, key: str) -> tuple[str, str]:
        return self.objects.get(key, ("", ""))

    def create(self, key: str, text: str) -> str:
        return self._put(key, text, tag="")

    def replace(self, key: str, text: str, *, tag: str) -> str:
        return self._put(key, text, tag=tag)

    def _put(self, key: str, text: str, *, tag: str) -> str:
        with self._mutex:
            if self.unreachable:
                self.unreachable -= 1
                raise LeandataError("the bucket is not reached")
            if self.get(key)[1] != tag:
                raise TakenError(key)
            self._count += 1
            self.objects[key] = (text, f"t{self._count}")
            if self.lost_answers:
                self.lost_answers -= 1
                raise TakenError(key)
            return f"t{self._count}"

    @property
    def holder(self) -> Holder:
        return Holder.read(self.get(KEY)[0])


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease(memory: Memory, clock: Clock) -> Lease:
    return Lease(memory, environment="prod", clock=clock)


def test_the_holder_is_written_down_with_owner_host_start_and_lease(memory: Memory, clock: Clock) -> None:
    lease(memory, clock).take(say=SAID.append)
    holder = memory.holder
    assert (holder.pid, holder.since, holder.until) == (os.getpid(), clock.now, clock.now + SECONDS)
    assert holder.owner
    assert holder.host


def test_a_foreign_live_lease_is_never_broken_and_says_who_holds_it(memory: Memory, clock: Clock) -> None:
    lease(memory, clock).take(say=SAID.append)
    before = memory.get(KEY)
    for later in (0.0, SECONDS, SECONDS + MARGIN):
        clock.now = 1_000_000.0 + later
        with pytest.raises(LockedError, match=r"prod is being deployed since 1970-01-12 13:46:40 UTC by .* \(pid \d+"):
            lease(memory, clock).take(say=SAID.append)
    assert memory.get(KEY) == before


def test_an_ended_lease_is_taken_over_and_that_is_said(memory: Memory, clock: Clock) -> None:
    lease(memory, clock).take(say=SAID.append)
    clock.now += SECONDS + MARGIN + 1
    said: list[str] = []
    assert lease(memory, clock).take(say=said.append)
    assert len(said) == 1
    assert "ended at 13:48:10 UTC without being given up: taken over" in said[0]
    assert memory.holder.since == clock.now


def test_a_lease_that_was_given_up_is_taken_at_once_and_nothing_is_said(memory: Memory, clock: Clock) -> None:
    first = lease(memory, clock)
    first.take(say=SAID.append)
    first.give_up()
    said: list[str] = []
    assert not lease(memory, clock).take(say=said.append)
    assert said == []


def test_renewing_keeps_a_lease_for_as_long_as_its_holder_lives(memory: Memory, clock: Clock) -> None:
    mine = lease(memory, clock)
    mine.take(say=SAID.append)
    for _ in range(20):
        clock.now += SECONDS - 1
        assert mine.renew()
        with pytest.raises(LockedError):
            lease(memory, clock).take(say=SAID.append)


def test_who_lost_the_lease_neither_renews_nor_gives_up_that_of_the_next(memory: Memory, clock: Clock) -> None:
    mine = lease(memory, clock)
    mine.take(say=SAID.append)
    clock.now += SECONDS + MARGIN + 1
    lease(memory, clock).take(say=SAID.append)
    others = memory.get(KEY)
    assert not mine.renew()
    mine.give_up()
    assert memory.get(KEY) == others


@pytest.mark.parametrize("step", ["take", "renew", "give up"])
def test_a_write_whose_answer_was_lost_is_recognised_as_ours(memory: Memory, clock: Clock, step: str) -> None:
    mine = lease(memory, clock)
    memory.lost_answers = step == "take"
    mine.take(say=SAID.append)
    memory.lost_answers = step == "renew"
    clock.now += 1
    assert mine.renew()
    memory.lost_answers = step == "give up"
    mine.give_up()
    assert memory.holder.until == 0


def test_of_many_who_want_the_lease_at_once_one_gets_it(memory: Memory, clock: Clock) -> None:
    won: list[int] = []
    start = threading.Barrier(16)

    def want(number: int) -> None:
        start.wait()
        try:
            lease(memory, clock).take(say=SAID.append)
        except LockedError:
            return
        won.append(number)

    threads = [threading.Thread(target=want, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_of_two_who_take_an_ended_lease_over_one_gets_it(memory: Memory, clock: Clock) -> None:
    lease(memory, clock).take(say=SAID.append)
    clock.now += SECONDS + MARGIN + 1
    first, second = lease(memory, clock), lease(memory, clock)
    assert first.take(say=SAID.append)
    with pytest.raises(LockedError):
        second.take(say=SAID.append)


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"owner": "x"}', '"x"'])
def test_a_damaged_lock_is_not_taken_for_a_free_one(memory: Memory, clock: Clock, text: str) -> None:
    memory.objects[KEY] = (text, "t")
    with pytest.raises(LeandataError, match="the lock of deployments is damaged"):
        lease(memory, clock).take(say=SAID.append)


@pytest.mark.parametrize(
    ("until", "now", "expected"),
    [(0.0, 5.0, True), (100.0, 100.0 + MARGIN, False), (100.0, 100.1 + MARGIN, True), (100.0, 5.0, False)],
)
def test_a_lease_is_free_after_its_end_and_the_difference_of_clocks(until: float, now: float, expected: bool) -> None:
    holder = replace(Holder.me(now=0.0), until=until)
    assert free(holder, now=now) is expected


def test_a_person_is_told_when_a_dead_lease_ends() -> None:
    holder = replace(Holder.me(now=0.0), owner="ann", host="h", pid=7)
    said = told(holder, now=60.0)
    assert "by ann (pid 7 on h); its lease ends in 60 s if it is dead" in said


# -- renewed beside the work -------------------------------------------------------------------------------------------


def test_it_is_renewed_by_itself_and_given_up_in_the_end(memory: Memory) -> None:
    renewed = threading.Event()
    mine = Lease(memory, environment="prod", seconds=0.3)
    with held(mine, say=SAID.append, lost=lambda: None) as taken_over:
        assert not taken_over
        first = memory.holder.until
        while memory.holder.until == first:
            renewed.wait(0.01)
    assert memory.holder.until == 0


def test_it_is_given_up_when_the_work_fails(memory: Memory) -> None:
    with pytest.raises(ValueError, match="no"), held(Lease(memory, environment="prod"), say=SAID.append, lost=int):
        raise ValueError("no")
    assert memory.holder.until == 0


def test_work_is_told_once_that_the_lease_is_not_its_own_any_more(memory: Memory) -> None:
    lost = threading.Event()
    with held(Lease(memory, environment="prod", seconds=0.3), say=SAID.append, lost=lost.set):
        other = replace(Holder.me(now=0.0), owner="somebody else")
        memory.objects[KEY] = (other.text(), "another")
        assert lost.wait(10)
    assert memory.holder.owner == "somebody else"


def test_a_bucket_that_is_not_reached_for_a_moment_ends_nothing(memory: Memory) -> None:
    lost = threading.Event()
    with held(Lease(memory, environment="prod", seconds=3.0), say=SAID.append, lost=lost.set):
        memory.unreachable = 1
        before = memory.holder.until
        while memory.holder.until == before:
            lost.wait(0.01)
        assert not lost.is_set()


def test_a_bucket_that_is_not_reached_any_more_ends_the_work_before_the_lease(memory: Memory) -> None:
    lost = threading.Event()
    mine = Lease(memory, environment="prod", seconds=0.6)
    with held(mine, say=SAID.append, lost=lost.set):
        memory.unreachable = 10**6
        assert lost.wait(10)
        memory.unreachable = 0


# -- over S3's own protocol, with processes that are ended -------------------------------------------------------------


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with serving(tmp_path / "s3") as found:
        yield found


def bucket(port: int) -> Store:
    options = {"endpoint": f"http://127.0.0.1:{port}", "skip_signature": True, "region": "eu-central-1"}
    inner = S3Store("state", prefix="prod", client_options={"allow_http": True}, **options)
    return Store(inner=inner, place="s3://state/prod")


HOLDING = """
import sys, time
from ci.release.lease import Lease, held
from ci.tests.release.test_lease import bucket
try:
    with held(Lease(bucket(int(sys.argv[1])), environment="prod"), say=print, lost=int):
        print("held", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("ended", flush=True)
"""


@pytest.fixture
def holding(s3: S3) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDING, str(s3.port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.integration
def test_a_bucket_gives_the_lease_to_one_of_many(s3: S3) -> None:
    won: list[Lease] = []

    def want() -> None:
        mine = Lease(bucket(s3.port), environment="prod")
        try:
            mine.take(say=SAID.append)
        except LockedError:
            return
        won.append(mine)

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert won[0].renew()
    won[0].give_up()
    Lease(bucket(s3.port), environment="prod").take(say=SAID.append)


@pytest.mark.integration
def test_a_terminated_deployment_gives_its_lease_up(s3: S3, holding: subprocess.Popen[str]) -> None:
    with pytest.raises(LockedError, match=rf"pid {holding.pid} "):
        Lease(bucket(s3.port), environment="prod").take(say=SAID.append)
    holding.send_signal(signal.SIGTERM)
    assert holding.communicate(timeout=30)[0] == "ended\n"
    assert not Lease(bucket(s3.port), environment="prod").take(say=SAID.append)


@pytest.mark.integration
def test_the_lease_of_a_killed_deployment_ends_by_itself(s3: S3, holding: subprocess.Popen[str]) -> None:
    holding.kill()
    holding.wait()
    with pytest.raises(LockedError, match="its lease ends in"):
        Lease(bucket(s3.port), environment="prod").take(say=SAID.append)
    until = json.loads(bucket(s3.port).get(KEY)[0])["until"]
    later = Lease(bucket(s3.port), environment="prod", clock=lambda: until + MARGIN + 1)
    said: list[str] = []
    assert later.take(say=said.append)
    assert f"pid {holding.pid} " in said[0]
