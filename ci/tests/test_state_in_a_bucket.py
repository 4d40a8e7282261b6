"""State in a bucket, by the real engine and over S3's own protocol: it moves there, and looking at it writes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci import account
from ci.account import States, decide, perform
from ci.bootstrap import pulumi_path
from ci.engine import Engine
from ci.events import Log
from ci.graph import StackInfo
from ci.testing import environment
from ci.tests.buckets import S3, SETTINGS, BucketEngine, serving
from infra.components.stack import deployed
from infra.environment import ROOT
from leandata.errors import LeandataError

pytestmark = pytest.mark.integration
INFO = StackInfo(name="small", module="ci.tests.small_program", folder=ROOT, needs=())


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name, value in {**SETTINGS, "LEANDATA_STATE": str(tmp_path / "here")}.items():
        monkeypatch.setenv(name, value)
    with serving(tmp_path / "s3") as found:
        yield found


@pytest.fixture
def places(s3: S3, tmp_path: Path) -> Iterator[Callable[[], States]]:
    with environment("local") as local:
        made = tmp_path / "made"

        def up(engine: Engine) -> None:
            with engine.opened(INFO) as stack:
                stack.up(Log())
            made.touch()

        def fresh() -> States:
            return States(
                here=Engine(environment=local, pulumi=pulumi_path(), local=True),
                there=BucketEngine(environment=local, pulumi=pulumi_path(), port=s3.port),
                info=INFO,
                bucket=lambda: "there" if made.exists() else "missing",
                up=up,
            )

        yield fresh


def run(places: States) -> list[str]:
    done: list[str] = []
    perform(places, decide(places.look(), environment="local"), told=done.append)
    return done


def test_state_is_made_here_moved_to_the_bucket_and_found_there(places: Callable[[], States], tmp_path: Path) -> None:
    assert run(places()) == ["make", "move", "forget", "update"]
    assert (tmp_path / "s3" / "state" / ".pulumi" / "stacks" / "small" / "local.json").is_file()
    assert run(places()) == ["update"]
    assert account.outputs(places().there.exported(INFO)) == {"said": "hello"}


def test_previews_and_looks_for_drift_write_nothing_into_the_bucket(places: Callable[[], States], s3: S3) -> None:
    run(places())
    there = places().there
    s3.written.clear()
    there.unlocked(INFO).preview(Log())
    there.unlocked(INFO).inner.preview_refresh(on_event=lambda event: None, run_program=True)
    there.exported(INFO)
    assert s3.written == []


def test_a_deployment_locks_writes_and_gives_the_lock_up(places: Callable[[], States], s3: S3) -> None:
    run(places())
    s3.written.clear()
    run(places())
    locks = [method for method, path in s3.written if path.startswith("/state/.pulumi/locks/")]
    assert locks == ["PUT", "DELETE"]
    assert {method for method, _ in s3.written} == {"PUT", "DELETE"}
    assert all(path.startswith("/state/.pulumi/") for _, path in s3.written)


def test_what_the_bucket_knows_is_fetched_for_those_who_read_files(places: Callable[[], States], s3: S3) -> None:
    run(places())
    there = places().there
    assert not deployed(there.environment, "small"), "its file is in the bucket only"
    assert there.outputs("small") == {}
    s3.written.clear()
    there.fetch([INFO])
    assert deployed(there.environment, "small")
    assert there.outputs("small") == {"said": "hello"}
    assert s3.written == [], "it only looks"


def test_a_stack_that_was_never_deployed_is_fetched_as_nothing(places: Callable[[], States]) -> None:
    run(places())
    there, never = places().there, StackInfo(name="never", module="ci.tests.small_program", folder=ROOT, needs=())
    there.fetch([never])
    assert not deployed(there.environment, "never")
    assert there.outputs("never") == {}


def salt(tmp_path: Path) -> str:
    """What the state says of the passphrase that encrypts it."""
    text = (tmp_path / "s3" / "state" / ".pulumi" / "stacks" / "small" / "local.json").read_text()
    return json.loads(text)["checkpoint"]["latest"]["secrets_providers"]["state"]["salt"]


def test_another_machine_goes_on_with_the_key_that_encrypts_the_state(
    places: Callable[[], States], tmp_path: Path
) -> None:
    run(places())
    folder, before = tmp_path / "here" / "engine", salt(tmp_path)
    passphrase = (folder / "passphrase").read_text()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "passphrase").write_text(passphrase)
    assert run(places()) == ["update"]
    assert salt(tmp_path) == before


def test_a_machine_without_the_key_is_refused_and_the_state_stays_as_it_was(
    places: Callable[[], States], tmp_path: Path
) -> None:
    run(places())
    before = salt(tmp_path)
    shutil.rmtree(tmp_path / "here" / "engine")
    with pytest.raises(LeandataError):
        run(places())
    assert salt(tmp_path) == before
