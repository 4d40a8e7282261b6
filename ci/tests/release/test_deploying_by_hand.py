"""Before a deployment by hand a person sees what it does and answers; afterwards they hear what was done."""

from __future__ import annotations

import json
import os
import pty
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.deploy import StackRun
from ci.engine import Engine, EngineError
from ci.events import Log, Step
from ci.graph import StackInfo
from ci.release import asking
from ci.release.canary import in_waves, waves
from ci.release.manifest import Release
from ci.tests.graphs import graph, resource
from ci.verbs import deploy
from leandata.errors import LeandataError

BUCKET, FILE, DIRECTORY = "aws:s3/bucket:Bucket", "machine:index:File", "machine:index:Directory"
NEEDS = {"airflow": ("api", "lake"), "api": ("database",), "dash": ("database",), "database": (), "lake": ()}
STACKS = {name: StackInfo(name=name, module=name, folder=Path(name), needs=needs) for name, needs in NEEDS.items()}
SETTINGS = {"yes": False, "dry": False, "json": False, "stack": "", "plan": "", "fingerprint": "", "canary": ""}


def options(**changes: Any) -> Namespace:
    return Namespace(**{**SETTINGS, **changes})


def step(op: str, whole: str = FILE, name: str = "x", *changed: str) -> Step:
    return Step(op=op, type=whole.rpartition(":")[2], name=name, changed=changed, whole=whole)


def run(name: str, *steps: Step, state: str = "done", problems: tuple[str, ...] = ()) -> StackRun:
    log = Log(steps=list(steps), seen={one.name for one in steps})
    return StackRun(info=STACKS[name], state=state, log=log, problems=list(problems))


class FakeEngine:
    """An engine whose previews find these steps, or fail; `made` are the stacks that were deployed before."""

    def __init__(
        self, folder: Path, environment: str, *, steps: Mapping[str, tuple[Step, ...]], fails: str = "", made: str = ""
    ) -> None:
        self.environment = SimpleNamespace(name=environment)
        self.fetched: list[str] = []
        self.looked: list[str] = []
        self._folder, self._steps, self._fails = folder, steps, fails
        if made:
            self.checkpoint(made).write_text("{}")

    def checkpoint(self, stack: str) -> Path:
        return self._folder / f"{stack}.json"

    def fetch(self, infos: Any) -> None:
        self.fetched += [info.name for info in infos]

    def outputs(self, stack: str) -> dict[str, Any]:
        return {"url": f"http://{stack}", "mail_url": "http://mail"} if self.checkpoint(stack).exists() else {}

    def unlocked(self, info: StackInfo) -> Any:
        def preview(log: Log) -> None:
            self.looked.append(info.name)
            log.steps += self._steps.get(info.name, ())
            if info.name == self._fails:
                raise EngineError("no", problems=["api: no such image"])

        return SimpleNamespace(preview=preview)


Make = Callable[..., FakeEngine]


@pytest.fixture
def engine(tmp_path: Path) -> Make:
    def make(environment: str, **settings: Any) -> FakeEngine:
        return FakeEngine(tmp_path, environment, **{"steps": {"lake": (step("create"),)}, **settings})

    return make


@pytest.fixture(autouse=True)
def _not_in_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@contextmanager
def typed(text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal in which somebody types this."""
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, encoding="utf-8") as terminal, monkeypatch.context() as patch:
            patch.setattr("sys.stdin", terminal)
            os.write(ours, text.encode())
            yield
    finally:
        os.close(ours)


def allow(engine: FakeEngine, **changes: Any) -> None:
    deploy.allow(cast("Engine", engine), STACKS, plan=None, options=options(**changes))


# -- the question ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["y\n", "Y\n", "yes\n", " YES \n"])
def test_a_typed_yes_goes_on(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with typed(text, monkeypatch):
        asking.ask("Deploy this to prod?")
    assert "Deploy this to prod? [y/N] " in capsys.readouterr().out


@pytest.mark.parametrize("text", ["\n", "n\n", "no\n", "yep\n", "y y\n", "\x04"], ids=repr)
def test_anything_else_changes_nothing_also_the_end_of_input(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with typed(text, monkeypatch), pytest.raises(LeandataError) as refused:
        asking.ask("Deploy this to prod?")
    assert str(refused.value) == "not confirmed; nothing was changed"


def test_where_nobody_can_type_it_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open() as nothing, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", nothing)
        with pytest.raises(LeandataError) as refused:
            asking.ask("Deploy this?")
    assert str(refused.value) == "this deployment needs a typed y. Run it in a terminal, or give YES=yes"


@pytest.mark.parametrize(("ci", "expected"), [("true", True), ("false", False), ("1", False), ("TRUE", False)])
def test_only_a_pipeline_that_says_true_answers_for_a_person(
    ci: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    assert asking.answered(yes=False) is expected


@given(
    environment=st.sampled_from(["local", "dev", "staging", "prod", "pr-7"]),
    first=st.booleans(),
    changes=st.integers(0, 99),
    losing=st.integers(0, 9),
)
def test_data_is_lost_without_a_question_only_where_nothing_was_deployed(
    environment: str, first: bool, changes: int, losing: int
) -> None:
    changes = max(changes, losing)
    asked = asking.must_ask(environment, first=first, changes=changes, losing=losing)
    if environment != "local":
        assert asked is (changes > 0)
    elif not first:
        assert asked is (losing > 0)
    else:
        assert not asked


def test_a_summary_of_nothing_is_one_line_of_zeros() -> None:
    assert asking.summary([run("api")], environment="prod") == "prod: create 0 · update 0 · replace 0 · delete 0"


@given(
    ops=st.lists(st.tuples(st.sampled_from(sorted(NEEDS)), st.sampled_from(["create", "delete", "replace", "update"])))
)
def test_totals_are_the_sum_of_all_stacks_and_each_loss_has_a_line(ops: list[tuple[str, str]]) -> None:
    runs = [run(name, *(step(op, BUCKET) for stack, op in ops if stack == name)) for name in sorted(NEEDS)]
    head, *lines = asking.summary(runs, environment="dev").splitlines()
    found = dict(part.split(" ") for part in head.removeprefix("dev: ").split(" · "))
    assert {op: int(count) for op, count in found.items()} == {
        op: [one for _, one in ops].count(op) for op in ("create", "update", "replace", "delete")
    }
    losses = [line for line in lines if line.startswith("  DATA ")]
    assert len(losses) == sum(op in ("delete", "replace") for _, op in ops)
    assert lines[: len(losses)] == losses, "what loses data comes first"
    assert len(lines) - len(losses) == len({name for name, _ in ops})


# -- what may be deployed without a plan -------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_who_said_yes_beforehand_does_not_wait_for_a_look(engine: Make, environment: str) -> None:
    found = engine(environment, made="lake")
    allow(found, yes=True)
    assert found.looked == []


def test_the_first_deployment_to_this_machine_needs_no_look_and_no_question(engine: Make) -> None:
    found = engine("local")
    allow(found)
    assert found.looked == []


def test_the_first_deployment_elsewhere_is_looked_at_and_asked_for(
    engine: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    found = engine("prod")
    with pytest.raises(LeandataError, match="this deployment needs a typed y"):
        allow(found)
    assert sorted(found.looked) == sorted(found.fetched) == sorted(NEEDS)
    shown = capsys.readouterr()
    assert shown.err == "prod: create 1 · update 0 · replace 0 · delete 0\n  lake        create 1\n"
    assert shown.out == "", "what machines read is not mixed with what a person is shown"


@pytest.mark.parametrize("environment", ["local", "prod"])
def test_where_nothing_changes_nobody_is_asked(engine: Make, environment: str) -> None:
    found = engine(environment, made="lake", steps={})
    allow(found)
    assert sorted(found.looked) == sorted(NEEDS)


@pytest.mark.parametrize(
    ("steps", "asked"),
    [
        ((step("create"), step("update", DIRECTORY)), False),
        ((step("delete"),), False),
        ((step("delete", DIRECTORY),), True),
        ((step("create"), step("replace", DIRECTORY)), True),
    ],
    ids=["nothing lost", "a file again", "data deleted", "data replaced"],
)
def test_on_this_machine_only_a_loss_of_data_is_asked_for(
    engine: Make, steps: tuple[Step, ...], asked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = engine("local", made="lake", steps={"lake": steps})
    if asked:
        with pytest.raises(LeandataError, match="this deployment needs a typed y"):
            allow(found)
    else:
        allow(found)
    assert ("DATA     lake: " in capsys.readouterr().err) is asked


def test_a_typed_yes_lets_a_deployment_go_on(engine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    found = engine("prod", made="lake")
    with typed("y\n", monkeypatch):
        allow(found)
    with typed("n\n", monkeypatch), pytest.raises(LeandataError, match="not confirmed; nothing was changed"):
        allow(found)


def confirm() -> None:
    hint = "Run it in a terminal"
    asking.typed("prod", question="Type prod to go on", why="it is not there to be asked", hint=hint, refused="no harm")


@pytest.mark.parametrize("said", ["dev\n", "\n", "Prod\n", "y\n", "\x04"], ids=["other", "nothing", "case", "y", "^D"])
def test_what_removes_or_replaces_goes_on_only_after_the_name_of_its_environment(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with typed("  prod \n", monkeypatch):
        confirm()
    with typed(said, monkeypatch), pytest.raises(LeandataError) as refused:
        confirm()
    assert str(refused.value) == "not confirmed; no harm"


def test_where_nobody_can_type_only_a_pipeline_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(LeandataError) as refused:
        confirm()
    assert str(refused.value) == "it is not there to be asked. Run it in a terminal"
    monkeypatch.setenv("CI", "true")
    confirm()


def test_elsewhere_a_preview_that_fails_ends_it_with_its_reason(engine: Make) -> None:
    with pytest.raises(LeandataError) as refused:
        allow(engine("prod", made="lake", fails="api"))
    assert str(refused.value) == "the preview of api fails: api: no such image. Nothing was changed"


def test_on_this_machine_a_preview_that_fails_is_left_to_the_deployment(engine: Make) -> None:
    found = engine("local", made="lake", fails="api")
    allow(found)
    assert "airflow" not in found.looked, "what needs it is not looked at"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fingerprint": "sha256:1"}, "--fingerprint goes with --plan"),
        ({"plan": "p.json", "stack": "lake"}, "a plan is deployed whole: it goes without STACK and DRY"),
        ({"plan": "p.json", "dry": True}, "a plan is deployed whole: it goes without STACK and DRY"),
        ({"plan": "/none/p.json"}, "the plan cannot be read: No such file or directory (/none/p.json)"),
        ({"plan": "/"}, "the plan cannot be read: Is a directory (/)"),
    ],
    ids=["fingerprint alone", "part", "dry", "absent", "folder"],
)
def test_a_plan_that_cannot_be_deployed_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(LeandataError) as refused:
        deploy._plan(options(**changes))
    assert str(refused.value) == said


def test_without_a_plan_there_is_none() -> None:
    assert deploy._plan(options()) is None


# -- one service first -------------------------------------------------------------------------------------------------

GRAPHS = st.integers(1, 7).flatmap(
    lambda size: st.tuples(
        *(
            st.sets(st.integers(0, max(0, number - 1))).map(lambda found, n=number: found - {n})
            for number in range(size)
        )
    )
)


@given(edges=GRAPHS, data=st.data())
def test_in_any_graph_the_first_wave_is_the_canary_and_all_it_stands_on(
    edges: tuple[set[int], ...], data: st.DataObject
) -> None:
    stacks = {
        f"s{number}": StackInfo(
            name=f"s{number}", module="m", folder=Path("f"), needs=tuple(f"s{one}" for one in sorted(needs))
        )
        for number, needs in enumerate(edges)
    }
    canary = data.draw(st.sampled_from(sorted(stacks)))
    first, *others = waves(stacks, canary)
    assert canary in first
    assert all(set(info.needs) <= set(first) for info in first.values()), "nothing it stands on comes later"
    used = {need for info in first.values() for need in info.needs}
    assert set(first) == used | {canary}, "nothing else comes first"
    assert sorted([*first, *(name for wave in others for name in wave)]) == sorted(stacks)
    assert all(others), "no wave is empty"


def test_a_canary_that_is_no_stack_names_those_there_are() -> None:
    with pytest.raises(LeandataError) as refused:
        waves(STACKS, "cash")
    assert str(refused.value) == (
        "no stack 'cash' to deploy first. CANARY is one of: airflow, api, dash, database, lake"
    )


class Opened:
    """An engine that opens every stack."""

    environment = SimpleNamespace(name="prod")

    @contextmanager
    def opened(self, info: StackInfo) -> Iterator[Any]:
        yield SimpleNamespace(info=info)


def canaried(canary: str, *, fails: str = "") -> tuple[list[str], dict[str, str]]:
    """What was looked at, and the state of each run."""
    looked: list[str] = []

    def act(stack: Any, log: Log) -> None:
        del log
        if stack.info.name == fails:
            raise LeandataError("no")

    def well(environment: Any, service: str) -> str:
        looked.append(f"{service} in {environment.name}")
        return ""

    silent = SimpleNamespace(expect=lambda run: None, changed=lambda run: None)
    runs = in_waves(cast("Engine", Opened()), STACKS, canary=canary, act=act, watcher=silent, looked=well)
    return looked, {run.info.name: run.state for run in runs}


def test_a_canary_whose_ground_fails_is_not_looked_at_and_nothing_follows() -> None:
    looked, states = canaried("dash", fails="database")
    assert looked == []
    assert states == {
        "airflow": "skipped", "api": "skipped", "dash": "skipped", "database": "failed", "lake": "skipped"
    }  # fmt: skip


def test_a_canary_is_looked_at_once_also_when_all_else_stands_below_it() -> None:
    looked, states = canaried("airflow")
    assert looked == ["airflow in prod"]
    assert set(states.values()) == {"done"}


def test_one_of_the_others_that_fails_does_not_take_the_canary_back() -> None:
    looked, states = canaried("dash", fails="lake")
    assert looked == ["dash in prod"]
    assert (states["dash"], states["api"], states["lake"], states["airflow"]) == ("done", "done", "failed", "skipped")


# -- what is said afterwards -------------------------------------------------------------------------------------------


def told(engine: FakeEngine, *runs: StackRun, release: Release | None = None, **changes: Any) -> None:
    everything = {**STACKS, "mail": StackInfo(name="mail", module="mail", folder=Path("mail"), needs=())}
    deploy._tell(options(**changes), cast("Engine", engine), runs, seconds=1.26, release=release, everything=everything)


def test_a_deployment_that_went_well_says_so_with_its_addresses(
    engine: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    told(engine("local", made="api"), run("api"))
    out = capsys.readouterr().out
    assert "\nDeployed local in 1.3s.\n" in out
    assert "  API              http://api\n" in out
    assert "Airflow" not in out, "what is not deployed has no address"


def test_a_stack_that_failed_is_told_with_what_was_not_begun_and_what_is_done(
    engine: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = run("database", state="failed", problems=("database: no disk", "database: no port"))
    told(engine("local"), run("airflow", state="skipped"), run("api", state="skipped"), failed, run("lake"))
    assert capsys.readouterr().out == (
        "\nerror: the stack database failed; not begun: airflow, api; done: lake\n"
        "  database: no disk\n  database: no port\n"
        "What was done is kept; mend the cause and run the same command again.\n"
    )


def test_a_last_stack_that_fails_alone_leaves_nothing_out(engine: Make, capsys: pytest.CaptureFixture[str]) -> None:
    told(engine("local"), run("airflow", state="failed", problems=("no",)))
    assert "error: the stack airflow failed; not begun: nothing; done: nothing\n  no\n" in capsys.readouterr().out


def test_a_look_lists_each_change_and_says_that_nothing_was_changed(
    engine: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    told(engine("local"), run("lake", step("update", FILE, "conf", "content", "mode"), step("create")), dry=True)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "    update   File conf: content, mode",
        "    create   File x",
        "Nothing was changed.",
    ]


@pytest.mark.parametrize("state", ["done", "failed"])
def test_machines_read_one_document_and_nothing_else(
    engine: Make, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told(engine("local"), run("lake", step("create"), state=state, problems=("no",)), json=True)
    read = json.loads(capsys.readouterr().out)
    assert read["ok"] is (state == "done")
    assert (read["version"], read["release"], read["seconds"]) == (1, "", 1.26)
    assert read["stacks"]["lake"]["steps"] == [{"op": "create", "type": "File", "name": "x", "changed": []}]
    assert read["stacks"]["lake"]["problems"] == ["no"]


def test_where_nothing_is_deployed_there_is_nothing_to_look_at(engine: Make) -> None:
    assert deploy.look_first(cast("Engine", engine("local"))) == ""


def test_the_password_s_file_is_told_beside_the_address_and_the_password_is_not() -> None:
    outputs = {"dash": {"url": "http://d", "password_file": "/secrets/dash"}, "airflow": {"url": "http://a"}}
    found = SimpleNamespace(outputs=lambda name: outputs.get(name, {}))
    assert deploy.look_first(cast("Engine", found)).splitlines() == [
        "  Sales dashboard  http://d   user analyst, password in /secrets/dash",
        "  Airflow          http://a",
    ]


def test_only_where_mails_can_be_read_are_they_what_to_look_at_first() -> None:
    outputs = {"mail": {"mail_url": "http://m"}}
    found = SimpleNamespace(outputs=lambda name: outputs.get(name, {}))
    lines = deploy.look_first(cast("Engine", found)).splitlines()
    assert lines[0] == "  Mailed reports   http://m"
    assert lines[1].startswith("Look first at the mailed reports")


def test_who_may_see_single_customers_is_told_how_to_log_in() -> None:
    dash = {"url": "http://d", "password_file": "/secrets/dash", "editor_password_file": "/secrets/dash-editor"}
    found = SimpleNamespace(outputs=lambda name: dash if name == "dash" else {})
    assert deploy.look_first(cast("Engine", found)).splitlines()[1] == (
        "  One customer     http://d   user editor, password in /secrets/dash-editor"
    )


def test_totals_are_what_a_log_will_count() -> None:
    programs = graph(resource(FILE, "a"), resource(BUCKET, "b"), resource("leandata:index:Service", "c"), stack="lake")
    assert deploy.totals({**programs, **graph(stack="empty")}) == {"lake": 2, "empty": 0}
