"""The first step into an account: what is done is decided by what there is, and may be interrupted anywhere."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci import account, programs
from ci.account import Found, Step, decide, movable, perform
from ci.bootstrap import pulumi_path
from ci.engine import Engine
from ci.events import Log
from ci.graph import StackInfo, discover
from ci.locks import LockedError
from ci.preflight_cloud import Bucket
from ci.testing import environment
from ci.verbs import bootstrap as verb
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

WHOLE = frozenset({"urn:a", "urn:b"})
FIRST: tuple[Step, ...] = ("make", "move", "forget", "update")


class PowerError(Exception):
    """The power went off."""


@dataclass
class FakePlaces:
    """Two places in memory; the power goes off before the act of number `fails`, or in the middle of `make`."""

    bucket: Bucket = "missing"
    here: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()
    fails: str = ""
    acts: list[str] = field(default_factory=list)

    def look(self) -> Found:
        return Found(bucket=self.bucket, here=self.here, there=self.there)

    def _act(self, name: str) -> None:
        if self.fails == name:
            self.fails = ""
            raise PowerError
        self.acts.append(name)

    def make(self) -> None:
        self._act("make")
        self.here |= {"urn:a"}
        self.bucket = "there"
        self._act("make-half")
        self.here |= WHOLE

    def move(self) -> None:
        self._act("move")
        self.there = self.here

    def forget(self) -> None:
        self._act("forget")
        self.here = frozenset()

    def update(self) -> None:
        self._act("update")
        self.there |= WHOLE


def once(places: FakePlaces) -> tuple[Step, ...]:
    steps = decide(places.look(), environment="prod")
    perform(places, steps, told=lambda step: None)
    return steps


def test_the_first_run_makes_moves_and_forgets() -> None:
    places = FakePlaces()
    assert once(places) == FIRST
    assert (places.here, places.there, places.bucket) == (frozenset(), WHOLE, "there")


def test_the_second_run_only_brings_it_up_to_date() -> None:
    places = FakePlaces()
    once(places)
    assert once(places) == ("update",)
    assert places.there == WHOLE


@pytest.mark.parametrize("moment", ["make", "make-half", "move", "forget", "update"])
def test_an_interrupted_run_is_finished_by_the_same_command(moment: str) -> None:
    places = FakePlaces(fails=moment)
    with pytest.raises(PowerError):
        once(places)
    once(places)
    assert (places.here, places.there, places.bucket) == (frozenset(), WHOLE, "there")


@pytest.mark.parametrize("first", ["make", "make-half", "move", "forget", "update"])
@pytest.mark.parametrize("second", ["make", "make-half", "move", "forget", "update"])
def test_two_interruptions_in_a_row_do_no_harm(first: str, second: str) -> None:
    places = FakePlaces(fails=first)
    for after in (second, ""):
        try:
            once(places)
        except PowerError:
            places.fails = after
    once(places)
    assert (places.here, places.there) == (frozenset(), WHOLE)


def test_whoever_deploys_is_told_of_each_step_before_it_begins() -> None:
    places, told = FakePlaces(fails="move"), []
    with pytest.raises(PowerError):
        perform(places, FIRST, told=told.append)
    assert told == ["make", "move"]


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (Found(bucket="missing"), FIRST),
        (Found(bucket="missing", here=WHOLE), FIRST),
        (Found(bucket="there", here=WHOLE), FIRST),
        (Found(bucket="there", here=WHOLE, there=WHOLE), ("forget", "update")),
        (Found(bucket="there", here=frozenset({"urn:a"}), there=WHOLE), ("forget", "update")),
        (Found(bucket="there", there=WHOLE), ("update",)),
    ],
)
def test_what_there_is_decides(found: Found, steps: tuple[Step, ...]) -> None:
    assert decide(found, environment="prod") == steps


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Found(bucket="forbidden"), "may not use the state bucket"),
        (Found(bucket="there"), "nobody knows who made it"),
        (Found(bucket="there", here=WHOLE, there=frozenset({"urn:b"})), "the bucket's state lacks urn:a"),
    ],
)
def test_what_only_a_person_can_tell_is_one_line_and_nothing_is_done(found: Found, said: str) -> None:
    with pytest.raises(LeandataError, match=said) as caught:
        decide(found, environment="prod")
    assert "\n" not in str(caught.value)
    assert "prod" in str(caught.value)


def test_every_step_can_be_told_to_people() -> None:
    assert set(account.SAYS) == {"make", "move", "forget", "update"}


def test_a_state_is_moved_without_the_passphrase_of_its_folder() -> None:
    state = {"resources": [{"urn": "urn:a"}], "secrets_providers": {"type": "passphrase", "state": {"salt": "x"}}}
    assert movable(state) == {"resources": [{"urn": "urn:a"}]}
    assert "secrets_providers" in state


def test_a_state_with_a_secret_is_not_moved() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    with pytest.raises(LeandataError, match="holds a secret"):
        movable({"resources": [{"urn": "urn:a", "outputs": {"password": secret}}]})


def test_a_state_with_half_made_resources_is_not_moved() -> None:
    with pytest.raises(LeandataError, match="interrupted"):
        movable({"resources": [], "pending_operations": [{"type": "creating"}]})


def test_outputs_are_those_of_the_stack_itself() -> None:
    root = {"type": "pulumi:pulumi:Stack", "urn": "urn:s", "outputs": {"bucket": "b"}}
    assert account.outputs({"resources": [{"type": "x", "outputs": {"bucket": "no"}}, root]}) == {"bucket": "b"}
    assert account.outputs({}) == {}


# The command itself, against an account that a test plays.


@dataclass(frozen=True)
class FakeAccount:
    number: str = "333333333333"
    state: Bucket = "missing"

    def identity(self) -> str:
        return self.number

    def bucket(self, name: str) -> Bucket:
        assert name == "leandata-prod-state-333333333333"
        return self.state

    def quota(self, quota: Any) -> float | None:
        raise AssertionError(quota)


@contextmanager
def deploying(name: str, state: Path) -> Iterator[Environment]:
    before = os.environ.get("LEANDATA_STATE")
    os.environ["LEANDATA_STATE"] = str(state)
    try:
        with environment(name) as found:
            yield found
    finally:
        os.environ.pop("LEANDATA_STATE")
        if before is not None:
            os.environ["LEANDATA_STATE"] = before


DRY = Namespace(dry=True, json=False)


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with deploying("prod", tmp_path):
        assert verb.bootstrap(DRY, access=FakeAccount()) == 0
    said = capsys.readouterr().out
    assert "would make: make what the bootstrap declares" in said
    assert "1 OpenIdConnectProvider" in said
    assert "3 Role\n" in said
    assert said.endswith("Nothing was done.\n")
    assert not (tmp_path / "bootstrap" / "backend").exists()


def test_a_dry_run_answers_programs_as_well(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with deploying("prod", tmp_path):
        verb.bootstrap(Namespace(dry=True, json=True), access=FakeAccount())
    assert json.loads(capsys.readouterr().out) == {
        "done": [], "outputs": {}, "steps": list(FIRST), "version": 1,
    }  # fmt: skip


def test_credentials_of_another_account_are_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    with (
        deploying("prod", tmp_path),
        pytest.raises(LeandataError, match="of account 999999999999, not of 333333333333"),
    ):
        verb.bootstrap(DRY, access=FakeAccount(number="999999999999"))


def test_an_environment_without_an_account_has_nothing_to_bootstrap(tmp_path: Path) -> None:
    for name in ("cluster", "local"):
        with deploying(name, tmp_path), pytest.raises(LeandataError, match=f"{name} has no AWS account"):
            verb.bootstrap(DRY, access=FakeAccount())


def test_a_bucket_that_nobody_here_made_is_not_touched(tmp_path: Path) -> None:
    with deploying("prod", tmp_path), pytest.raises(LeandataError, match="may not use the state bucket"):
        verb.bootstrap(DRY, access=FakeAccount(state="forbidden"))


def test_only_one_bootstrap_of_an_environment_runs_at_a_time(tmp_path: Path) -> None:
    with (
        deploying("prod", tmp_path) as prod,
        account.alone(prod),
        pytest.raises(LockedError, match="bootstrap of prod"),
    ):
        verb.bootstrap(DRY, access=FakeAccount())


def test_in_the_end_a_person_is_told_which_ci_environment_takes_which_role(tmp_path: Path) -> None:
    with deploying("prod", tmp_path) as prod:
        roles = {f"role_{role}": f"arn:{role}" for role in verb.ROLES}
        said = verb.next_steps(prod, {"bucket": "state-bucket", **roles})
    assert "State lies in state-bucket." in said
    for role in verb.ROLES:
        assert f"prod-{role}" in said
        assert f"arn:{role}" in said
    assert said.endswith("python -m ci images --env prod")


def test_the_bootstrap_is_no_part_of_a_deployment() -> None:
    assert "bootstrap" not in discover(ROOT, "prod")
    assert list(discover(ROOT, "prod", by_hand=True)) == ["bootstrap"]
    assert list(discover(ROOT, "local", by_hand=True)) == []


def test_an_engine_for_the_first_step_keeps_state_in_a_folder_of_its_own(tmp_path: Path) -> None:
    with deploying("prod", tmp_path) as prod:
        here, there = (Engine(environment=prod, pulumi=Path("pulumi"), local=local) for local in (True, False))
    assert here.backend == f"file://{tmp_path / 'bootstrap' / 'backend'}?metadata=skip"
    assert here.secrets_provider == "passphrase"
    assert there.backend == "s3://leandata-prod-state-333333333333?region=eu-central-1"
    assert there.secrets_provider == "awskms:///alias/leandata-prod-state?region=eu-central-1"
    assert here.folder != there.folder


# Two real backends: state is made in one and moved to the other by the real engine.

SMALL = "ci.tests.small_program"


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Callable[[], account.States]]:
    """Places on this machine: both engines keep state in folders, and a file in a folder stands for the account."""
    with deploying("local", tmp_path / "state") as local:
        info = StackInfo(name="small", module=SMALL, folder=ROOT, needs=())
        made = tmp_path / "state" / "made"

        def up(engine: Engine) -> None:
            with engine.opened(info) as stack:
                stack.up(Log())
            made.touch()

        def fresh() -> account.States:
            here, there = (Engine(environment=local, pulumi=pulumi_path(), local=one) for one in (True, False))
            return account.States(
                here=here, there=there, info=info, bucket=lambda: "there" if made.exists() else "missing", up=up
            )

        yield fresh


def run(places: account.States, *, until: Step | None = None) -> list[Step]:
    """Run what is decided; the power goes off before `until`."""
    done: list[Step] = []

    def told(step: Step) -> None:
        if step == until:
            raise PowerError
        done.append(step)

    perform(places, decide(places.look(), environment="local"), told=told)
    return done


@pytest.mark.integration
@pytest.mark.parametrize("moment", ["move", "forget"])
def test_a_real_move_that_is_interrupted_is_finished_by_the_same_command(places: Callable, moment: Step) -> None:
    with pytest.raises(PowerError):
        run(places(), until=moment)
    run(places())
    assert account.outputs(places().there.exported(places().info)) == {"said": "hello"}
    assert run(places()) == ["update"]


@pytest.mark.integration
def test_what_is_put_aside_is_still_whole(places: Callable) -> None:
    run(places())
    [kept] = (places().here.folder / "moved").rglob("stacks/small/*.json")
    assert "hello" in kept.read_text()


def test_what_the_bootstrap_declares_is_judged_and_rendered_with_the_rest_of_the_environment(tmp_path: Path) -> None:
    with deploying("prod", tmp_path):
        info = discover(ROOT, "prod", by_hand=True)["bootstrap"]
        found = programs.run(info, environment="prod", before={})
    assert "aws:s3/bucket:Bucket" in {one.type for one in found.resources.values()}
