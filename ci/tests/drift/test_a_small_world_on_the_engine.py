"""A small program on the real engine: an untouched world differs in nothing, each thing done by hand is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci.bootstrap import pulumi_path
from ci.drift.look import fingerprint, look
from ci.drift.model import Difference, StackDrift, exit_code
from ci.engine import Engine
from ci.events import Log
from ci.graph import StackInfo
from ci.progress import watching
from infra.environment import Environment
from infra.provider.servicer import serve
from infra.provider.supervisor import Supervisor
from infra.testing.checkout import free_base
from infra.testing.parts import eventually
from leandata.errors import LeandataError

pytestmark = [pytest.mark.integration, pytest.mark.stacks("small")]
INFO = StackInfo(name="small", module="ci.tests.drift.small_world", folder=Path(), needs=())


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """A deployed environment of one small stack."""

    environment: Environment
    engine: Engine

    @property
    def state(self) -> Path:
        return self.environment.state

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.state)

    def deploy(self) -> None:
        with self.engine.opened(INFO) as stack:
            stack.up(Log())

    def look(self) -> StackDrift:
        with watching(quiet=True) as watcher:
            (found,) = look(self.environment, {"small": INFO}, rules=(), watcher=watcher)
        return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Generator[Environment]:
    own = {
        "LEANDATA_ENV": "local",
        "LEANDATA_STATE": str(tmp_path_factory.mktemp("drift") / "st ate"),
        "LEANDATA_PORT_BASE": str(free_base()),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own.items():
            patch.setenv(name, value)
        Environment.current.cache_clear()
        yield Environment.current()
    Environment.current.cache_clear()


@pytest.fixture(scope="module")
def world(environment: Environment) -> Generator[World]:
    environment.remember()
    port, stop = serve()
    found = World(
        environment=environment, engine=Engine(environment=environment, pulumi=pulumi_path(), provider_port=port)
    )
    found.deploy()
    yield found
    with found.engine.opened(INFO) as stack:
        stack.destroy(Log())
    stop()
    found.supervisor.shutdown()
    assert found.supervisor.marked() == []


def edit(world: World) -> None:
    (world.state / "etc" / "settings.ini").write_text("colour = red\n")


def remove(world: World) -> None:
    (world.state / "etc" / "banner").unlink()


def remove_folder(world: World) -> None:
    shutil.rmtree(world.state / "store")


def open_secret(world: World) -> None:
    (world.state / "secrets" / "key").chmod(0o644)


def kill(world: World) -> None:
    """With supervisord, which would start it again within a second."""
    for process in world.supervisor.marked():
        process.kill()
    eventually(lambda: not world.supervisor.marked())


BY_HAND: Mapping[str, tuple[Callable[[World], None], tuple[str, str, str, str]]] = {
    "edited file": (edit, ("File", "settings", "content", "harmless")),
    "deleted file": (remove, ("File", "banner", "", "harmless")),
    "deleted folder": (remove_folder, ("Directory", "store", "", "dangerous")),
    "secret that others may read": (open_secret, ("Secret", "key", "mode", "dangerous")),
    "killed process": (kill, ("Process", "sleeper", "state", "harmless")),
}


def said(one: Difference) -> tuple[str, str, str, str]:
    return one.type.rpartition(":")[2], one.name, one.property, one.sort


def test_an_untouched_world_differs_in_nothing_and_looking_writes_nothing(world: World) -> None:
    before = fingerprint(world.engine)
    found = world.look()
    assert found.differences == ()
    assert found.looked_at == 5
    assert exit_code([found]) == 0
    assert fingerprint(world.engine) == before


def test_what_was_done_by_hand_is_named_with_its_property_and_mended_by_a_deployment(world: World) -> None:
    secret = (world.state / "secrets" / "key").read_text()
    for act, _ in BY_HAND.values():
        act(world)
    before = fingerprint(world.engine)
    found = world.look()
    assert fingerprint(world.engine) == before, "looking has written to the state"
    assert {said(one) for one in found.differences} == {expected for _, expected in BY_HAND.values()}
    assert exit_code([found]) == 3
    assert all(one.revert == "make deploy ENV=local STACK=small" for one in found.differences)
    changed = {one.name: (one.before, one.after) for one in found.differences if one.kind == "changed"}
    assert changed["settings"] == ("colour = blue", "colour = red")
    world.deploy()
    assert world.look().differences == ()
    assert (world.state / "etc" / "settings.ini").read_text() == "colour = blue\n"
    assert (world.state / "secrets" / "key").read_text() == secret, "the secret is kept, only its mode is mended"


def test_a_process_that_nobody_has_declared_lies_beside(world: World) -> None:
    stray = world.supervisor.specification("sleeper")
    assert stray is not None
    world.supervisor.put({**stray, "name": "stray"})
    found = world.look()
    assert [said(one) for one in found.differences] == [("process", "stray", "", "dangerous")]
    world.supervisor.remove("stray")


def test_an_environment_that_is_not_deployed_is_not_made_by_looking(world: World, tmp_path: Path) -> None:
    other = Environment.load("local", environ={**os.environ, "LEANDATA_STATE": str(tmp_path / "other")})
    with watching(quiet=True) as watcher, pytest.raises(LeandataError, match="nothing of local is deployed"):
        look(other, {"small": INFO}, rules=(), watcher=watcher)
    assert not (tmp_path / "other").exists()
