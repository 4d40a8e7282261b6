"""What the engine says is condensed to what was done and one line for each failure, and never holds a secret."""

from __future__ import annotations

import enum
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.engine import Engine, EngineError, reason
from ci.events import Log, condense, ours
from ci.graph import StackInfo
from ci.tests.buckets import BucketEngine
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

URN = "urn:pulumi:local::api::leandata:index:Service$machine:index:Process::api"
STACK = "urn:pulumi:local::api::pulumi:pulumi:Stack::api-local"
FILE = "machine:index:File"
INFO = StackInfo(name="api", module="services.api.deploy", folder=Path("services/api"), needs=())


class Op(enum.StrEnum):
    """Operations as the SDK gives them: members, not text."""

    CREATE = "create"
    SAME = "same"


def event(**parts: Any) -> Any:
    names = ("resource_pre_event", "res_outputs_event", "diagnostic_event")
    return SimpleNamespace(**{name: parts.get(name) for name in names})


def begins(op: str, name: str = "x", *, type_: str = FILE, diff: dict[str, Any] | None = None) -> Any:
    metadata = SimpleNamespace(op=op, urn=f"urn:pulumi:local::api::{type_}::{name}", type=type_, detailed_diff=diff)
    return event(resource_pre_event=SimpleNamespace(metadata=metadata))


def ends(name: str = "x", *, type_: str = FILE) -> Any:
    metadata = SimpleNamespace(urn=f"urn:pulumi:local::api::{type_}::{name}", type=type_)
    return event(res_outputs_event=SimpleNamespace(metadata=metadata))


def says(message: str, *, severity: str = "error", urn: str | None = URN) -> Any:
    return event(diagnostic_event=SimpleNamespace(severity=severity, message=message, urn=urn))


def logged(*events: Any) -> Log:
    log = Log()
    for one in events:
        log.take(one)
    return log


# -- what was done -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["create", "update", "replace", "delete"])
def test_what_changes_something_is_a_step_with_its_type_and_name(op: str) -> None:
    (step,) = logged(begins(op, "orders")).steps
    assert (step.op, step.type, step.whole, step.name) == (op, "File", FILE, "orders")


@pytest.mark.parametrize(
    "op", ["same", "refresh", "read", "discard", "create-replacement", "delete-replaced", "import", "read-replacement"]
)
def test_what_changes_nothing_and_the_halves_of_a_replacement_are_no_steps(op: str) -> None:
    assert logged(begins(op)).steps == []


@pytest.mark.parametrize(("op", "shown"), [("create", "x"), ("create-replacement", "x"), ("same", ""), ("refresh", "")])
def test_a_person_sees_what_is_worked_on_now_but_not_what_is_only_looked_at(op: str, shown: str) -> None:
    assert logged(begins(op)).current == shown


def test_what_is_looked_at_does_not_hide_what_is_worked_on() -> None:
    assert logged(begins("create", "slow"), begins("same", "other")).current == "slow"


def test_an_operation_of_the_sdk_is_read_as_its_text() -> None:
    log = logged(begins(Op.CREATE, "a"), begins(Op.SAME, "b"))
    assert [(step.op, step.name) for step in log.steps] == [("create", "a")]


def test_changed_properties_are_named_in_order_and_none_is_none() -> None:
    log = logged(begins("update", diff={"mode": 1, "content": 2}), begins("update", diff=None))
    assert [step.changed for step in log.steps] == [("content", "mode"), ()]


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("pulumi:pulumi:Stack", True),
        ("pulumi:providers:aws", True),
        ("leandata:index:Service", True),
        ("machine:index:File", False),
        ("aws:s3/bucket:Bucket", False),
        ("kubernetes:apps/v1:Deployment", False),
        ("leandatabase:index:Table", False),
    ],
)
def test_only_things_that_are_made_somewhere_are_counted(type_: str, expected: bool) -> None:
    assert ours(type_) is expected
    log = logged(begins("create", type_=type_), ends(type_=type_))
    assert (len(log.steps), log.finished) == ((0, 0) if expected else (1, 1))


def test_a_resource_that_is_told_twice_is_counted_once() -> None:
    assert logged(ends("a"), ends("a"), ends("b")).finished == 2


@given(ops=st.lists(st.sampled_from(["create", "update", "replace", "delete", "same", "read"])))
def test_counts_are_of_what_was_done_and_sorted(ops: list[str]) -> None:
    found = logged(*(begins(op, str(number)) for number, op in enumerate(ops))).counts()
    assert found == {op: count for op, count in Counter(ops).items() if op not in ("same", "read")}
    assert list(found) == sorted(found)


def test_an_event_of_another_kind_is_let_pass() -> None:
    assert logged(event()) == Log()


# -- what went wrong ---------------------------------------------------------------------------------------------------


def test_each_failure_is_said_once_and_in_its_order() -> None:
    log = logged(says("error: no port"), says("error: no disk"), says("error: no port"))
    assert log.problems == ["api: no port", "api: no disk"]


@pytest.mark.parametrize("severity", ["warning", "info", "info#err", "debug"])
def test_only_errors_are_problems(severity: str) -> None:
    assert logged(says("the port was taken once", severity=severity)).problems == []


def test_an_error_of_no_resource_has_no_name_before_it() -> None:
    assert logged(says("error: no credentials", urn=None)).problems == ["no credentials"]


@pytest.mark.parametrize(
    "message",
    ["update failed", "preview failed", "destroy failed", "Resource monitor shut down", "error: update failed"],
)
def test_what_only_repeats_that_it_failed_is_left_out_for_the_stack_and_kept_for_a_resource(message: str) -> None:
    assert condense(message, urn=STACK) == condense(message, urn="") == ""
    assert condense(message, urn=URN) == f"api: {message.removeprefix('error: ')}"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("error: error: no port", "no port"),
        ("1 error occurred:\n\t* no port", "no port"),
        ("* no port\n\n", "no port"),
        ("creating x: rpc error: code = Internal desc = no port", "no port"),
        ("rpc error: code = Unknown desc = rpc error: code = Internal desc = no port", "no port"),
        ("<{%fg 1%}>no <{%reset%}>port", "no port"),
        ("resource partially created but read failed urn x: no port", "no port"),
        ("no\n\tport", "no port"),
    ],
)
def test_the_wrapping_of_a_reason_is_taken_off(message: str, said: str) -> None:
    assert condense(message, urn="") == said


def test_of_a_traceback_only_the_last_line_is_said() -> None:
    message = (
        "program failed:\nTraceback (most recent call last):\n  File \"x.py\", line 3\n    boom()\nKeyError: 'port'\n"
    )
    assert condense(message, urn=STACK) == "'port'"
    assert condense(message.replace("KeyError", "services.api.deploy.Refusal"), urn=STACK).endswith("Refusal: 'port'")


def test_a_long_reason_is_cut() -> None:
    assert condense("x" * 5000, urn="") == "x" * 900
    assert len(condense("x" * 5000, urn=URN)) == 900


@pytest.mark.parametrize(
    "message",
    [
        "check failed: {&{HIDDEN}}",
        "plan violated: {&{HIDDEN}} != {&{HIDDEN and more}}",
        "key: {&{-----BEGIN KEY-----\nHIDDEN\n-----END KEY-----}}",
        "<{%fg 1%}>{&{HIDDEN}}<{%reset%}>",
        "failed:\nTraceback (most recent call last):\n  File x\nValueError: not a port: {&{HIDDEN}}",
        "failed:\nTraceback (most recent call last):\n  File x\nValueError: not a port: {&{one\nHIDDEN}}",
        "failed {&{HIDDEN}}:\nTraceback (most recent call last):\n",
    ],
    ids=["one", "two", "several lines", "coloured", "in a traceback", "lines in a traceback", "before a traceback"],
)
@pytest.mark.parametrize("urn", ["", URN, STACK])
def test_a_secret_is_never_said(message: str, urn: str) -> None:
    found = condense(message, urn=urn)
    assert "HIDDEN" not in found
    assert found


@given(
    secret=st.text(alphabet="HIDEN\n\t ", min_size=1).map(lambda text: f"Q{text}Q"),
    before=st.text(alphabet="ab :\n", max_size=20),
    traceback=st.booleans(),
)
def test_no_secret_of_any_form_is_said(secret: str, before: str, traceback: bool) -> None:
    head = "Traceback (most recent call last)\n" if traceback else ""
    assert "Q" not in condense(f"{head}{before}{{&{{{secret}}}}}", urn=URN)


# -- the command line's own reason -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the engine gave no reason"),
        (" \n\t\n", "the engine gave no reason"),
        ("one\ntwo\n\n", "two"),
        ("error: first\nerror: second\nhelp: look there", "second"),
        ("code: 255\n stderr: error: the stack is locked\n", "the stack is locked"),
        ("error: a: error: b", "b"),
        ("x" * 900, "x" * 500),
    ],
)
def test_the_reason_is_the_last_error_or_else_the_last_line(text: str, said: str) -> None:
    assert reason(text) == said


@given(text=st.text())
def test_there_is_always_a_reason_of_one_line(text: str) -> None:
    found = reason(text)
    assert 0 < len(found) <= 500
    assert len(found.splitlines()) <= 1


# -- state that the engine keeps ---------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    environment = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")}, root=ROOT)
    return Engine(environment=environment, pulumi=tmp_path / "pulumi")


def kept(engine: Engine, text: str) -> Path:
    path = engine.checkpoint("api")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text", ["null", "[]", "7", '"x"', '{"checkpoint": null}', '{"checkpoint": []}', '{"checkpoint": {"latest": 7}}']
)
def test_a_state_of_another_form_is_damaged_and_its_file_is_named(engine: Engine, text: str) -> None:
    path = kept(engine, text)
    with pytest.raises(LeandataError) as refused:
        engine.state("api")
    assert str(refused.value) == f"the state of api is damaged ({path})"


def test_a_state_of_bytes_that_are_no_text_is_damaged(engine: Engine) -> None:
    kept(engine, "").write_bytes(b"\xff\xfe")
    with pytest.raises(LeandataError, match="the state of api is damaged"):
        engine.outputs("api")


@pytest.mark.parametrize("outputs", [None, {}])
def test_a_stack_without_outputs_has_none(engine: Engine, outputs: Any) -> None:
    resources = [{"type": "pulumi:pulumi:Stack", "outputs": outputs}, {"type": FILE, "outputs": {"path": "/x"}}]
    kept(engine, json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    assert engine.outputs("api") == {}


def test_outputs_that_are_changed_by_a_reader_stay_as_they_were(engine: Engine) -> None:
    resources = [{"type": "pulumi:pulumi:Stack", "outputs": {"url": "u"}}]
    kept(engine, json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    engine.outputs("api").clear()
    assert engine.outputs("api") == {"url": "u"}


def test_state_lies_in_the_folder_of_the_environment_or_of_the_bootstrap(engine: Engine) -> None:
    before = replace(engine, local=True)
    assert engine.folder != before.folder
    assert before.folder.parent == engine.folder.parent == engine.environment.state
    assert engine.backend == f"file://{engine.folder / 'backend'}?metadata=skip"
    assert (engine.bucket, engine.secrets_provider) == (None, "passphrase")


def test_before_there_is_a_bucket_state_lies_in_a_folder(engine: Engine, tmp_path: Path) -> None:
    prod = Environment.load("prod", environ={"LEANDATA_STATE": str(tmp_path / "prod")}, root=ROOT)
    there = replace(engine, environment=prod)
    assert there.backend.startswith("s3://")
    assert there.secrets_provider.startswith("awskms://")
    assert replace(there, local=True).backend.startswith("file://")
    assert replace(there, local=True).secrets_provider == "passphrase"


def test_on_one_machine_there_is_nothing_to_fetch(engine: Engine) -> None:
    engine.fetch([INFO])
    assert not engine.folder.exists()


def test_over_a_bucket_nothing_is_fetched_for_no_stack(engine: Engine, tmp_path: Path) -> None:
    there = BucketEngine(environment=engine.environment, pulumi=tmp_path / "pulumi", port=1)
    there.fetch([])
    assert not there.folder.exists()


def test_a_passphrase_that_is_there_is_never_made_new(engine: Engine) -> None:
    engine.folder.mkdir(parents=True)
    engine.passphrase.write_text("of before")
    engine.prepare()
    assert engine.passphrase.read_text() == "of before"
    assert {path.name for path in engine.folder.iterdir() if path.is_dir()} == {"backend", "home", "work"}


def test_two_environments_have_two_passphrases(engine: Engine, tmp_path: Path) -> None:
    other = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "other")}, root=ROOT)
    engine.prepare()
    replace(engine, environment=other).prepare()
    assert engine.passphrase.read_text() != replace(engine, environment=other).passphrase.read_text()


def test_the_engine_is_told_the_passphrase_by_file_and_where_our_provider_listens(engine: Engine) -> None:
    plain, told = engine._variables(), replace(engine, provider_port=4711)._variables()
    assert plain["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(engine.passphrase)
    assert "PULUMI_CONFIG_PASSPHRASE" not in plain
    assert "PULUMI_DEBUG_PROVIDERS" not in plain
    assert told["PULUMI_DEBUG_PROVIDERS"] == "machine:4711"
    assert plain["PATH"].endswith(os.environ["PATH"]), "tools of the user are found after our own"


def test_a_failed_operation_has_one_line_and_its_problems() -> None:
    error = EngineError("the stack api failed", problems=["api: no port"])
    assert (str(error), error.problems) == ("the stack api failed", ["api: no port"])
    assert isinstance(error, LeandataError)
