"""What the command line decides before it acts: the order of stacks, budgets, messages, ranges."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ci import bootstrap, budgets, graph, locks, preflight
from ci.cli import parser
from ci.commands import VERBS
from ci.deploy import StackRun
from ci.engine import reason
from ci.events import Log, condense
from ci.graph import StackInfo
from ci.progress import did, line
from ci.verbs import operate, pipelines, scaffold
from ci.verbs.status import age
from infra.environment import ROOT
from leandata.errors import LeandataError


def stacks(**needs: str) -> dict[str, StackInfo]:
    return {
        name: StackInfo(name=name, module=f"m.{name}", folder=Path(name), needs=tuple(text.split()))
        for name, text in needs.items()
    }


def test_the_stacks_of_the_repository_are_ordered_by_their_imports() -> None:
    found = graph.discover(ROOT)
    assert sorted(found) == ["airflow", "api", "dash", "dask", "database", "lake", "mail", "warehouse"]
    assert found["warehouse"].needs == ("lake",)
    assert found["api"].needs == ("database",)
    assert found["airflow"].module == "services.airflow.deploy"
    order = graph.order(found)
    assert all(order.index(need) < order.index(name) for name, info in found.items() for need in info.needs)


def test_an_import_of_outputs_is_an_edge_however_it_is_written(tmp_path: Path) -> None:
    for name, text in {
        "a": "",
        "b": "from infra.stacks.a.outputs import X",
        "c": "import infra.stacks.b.outputs",
    }.items():
        folder = tmp_path / "infra" / "stacks" / name
        folder.mkdir(parents=True)
        (folder / "__main__.py").write_text(text)
    found = graph.discover(tmp_path)
    assert {name: info.needs for name, info in found.items()} == {"a": (), "b": ("a",), "c": ("b",)}


def test_a_need_that_is_no_stack_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "services" / "x"
    folder.mkdir(parents=True)
    (folder / "deploy.py").write_text("from services.gone.outputs import X")
    with pytest.raises(LeandataError, match="the stack x needs gone, which is no stack"):
        graph.discover(tmp_path)


def test_a_circle_is_named() -> None:
    with pytest.raises(LeandataError, match="in a circle: a, b"):
        graph.order(stacks(a="b", b="a", c=""))


def test_what_depends_on_a_stack_is_found_through_others() -> None:
    found = stacks(a="", b="a", c="b", d="")
    assert graph.dependents(found, "a") == {"b", "c"}
    assert graph.dependents(found, "d") == set()


def test_a_lock_says_who_holds_it_since_when() -> None:
    text = json.dumps({"pid": 7, "user": "ana", "host": "box", "since": "2026-11-24T10:00:00+00:00"})
    said = locks.describe(text, what="the stack api")
    assert said == "the stack api is being deployed since 2026-11-24T10:00:00+00:00 by pid 7 (ana@box)"
    assert locks.describe("{", what="the stack api") == "the stack api is being deployed by another process"


def test_a_lock_is_held_once_and_free_again(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with (
        locks.hold(path, what="x"),
        pytest.raises(locks.LockedError, match="x is being deployed since"),
        locks.hold(path, what="x"),
    ):
        pass
    with locks.hold(path, what="x"):
        pass


URN = "urn:pulumi:local::api::leandata:index:Service$machine:index:Process::api"


@pytest.mark.parametrize(
    ("message", "urn", "said"),
    [
        ("error: the process api keeps ending", URN, "api: the process api keeps ending"),
        ("1 error occurred:\n\t* creating api: rpc error: code = Unknown desc = no port\n\n", URN, "api: no port"),
        ("<{%reset%}>update failed<{%reset%}>", "urn:pulumi:local::api::pulumi:pulumi:Stack::api-local", ""),
        ("plan violated: ~~sec[{&{HIDDEN2}}!={&{HIDDEN3}}]", URN, "api: plan violated: ~~sec[[secret]!=[secret]]"),
        (
            "failed:\nTraceback (most recent call last):\n  File x\nleandata.errors.SettingsError: no port for x",
            "",
            "no port for x",
        ),
        ("", URN, ""),
    ],
)
def test_an_error_of_the_engine_is_one_line_without_secrets(message: str, urn: str, said: str) -> None:
    assert condense(message, urn=urn) == said


def event(**parts: Any) -> Any:
    names = ("resource_pre_event", "res_outputs_event", "diagnostic_event")
    return SimpleNamespace(**{name: parts.get(name) for name in names})


def test_the_engine_s_events_become_steps_and_counts() -> None:
    log = Log()
    for op, urn in (("create", URN), ("same", URN), ("update", f"{URN}2")):
        metadata = SimpleNamespace(op=op, urn=urn, type="machine:index:Process", detailed_diff={"env": 1, "command": 2})
        log.take(event(resource_pre_event=SimpleNamespace(metadata=metadata)))
        log.take(event(res_outputs_event=SimpleNamespace(metadata=metadata)))
    own = SimpleNamespace(op="create", urn="u", type="leandata:index:Service", detailed_diff=None)
    log.take(event(resource_pre_event=SimpleNamespace(metadata=own)))
    assert log.counts() == {"create": 1, "update": 1}
    assert log.finished == 2
    assert log.steps[1].changed == ("command", "env")


def test_a_run_is_told_in_one_line() -> None:
    run = StackRun(info=stacks(api="")["api"])
    assert line(run) == "· api         waiting"
    run.state, run.seconds = "done", 1.25
    assert did(run) == "nothing to change"
    assert line(run).startswith("✓ api ")


def test_too_little_space_is_told_with_what_to_do() -> None:
    with pytest.raises(LeandataError, match=r"only 1.0MiB of disk space is free, 2.0GiB are needed \(/x\). Free some"):
        preflight.space(2**20, needed=2**31, place=Path("/x"))
    preflight.space(2**31, needed=2**31, place=Path("/x"))


def test_every_verb_has_help_and_takes_json() -> None:
    for verb in VERBS:
        options = parser().parse_args([verb, "--json"])
        assert options.json
        assert VERBS[verb].help


def test_every_verb_is_a_target_of_the_makefile_with_a_remark() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for verb in VERBS:
        assert f"\n{verb}: ## " in makefile, verb
    for rule in makefile.split("\n\n")[-1].splitlines():
        assert rule.startswith(("\t$(LEANDATA)", "\t@", *VERBS, "help:")), rule


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_of_a_verb_says_what_it_is_for(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args([verb, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "--env" in said
    assert "  --json" in said


def options(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"day": "", "week": "", "from": "", "to": "", **given})


@pytest.mark.parametrize(
    ("given", "span"),
    [
        ({}, {}),
        ({"day": "2026-11-16"}, {"from": "2026-11-16", "to": "2026-11-16"}),
        ({"week": "2026-W47"}, {"from": "2026-11-16", "to": "2026-11-22"}),
        ({"from": "2026-11-01", "to": "2026-11-05"}, {"from": "2026-11-01", "to": "2026-11-05"}),
        ({"from": "2026-11-01"}, {"from": "2026-11-01"}),
    ],
)
def test_a_day_a_week_and_a_range_name_their_days(given: dict[str, str], span: dict[str, str]) -> None:
    assert pipelines.days(options(**given)) == span


def test_a_service_is_chosen_by_its_name_or_its_process() -> None:
    names = ["airflow-api", "airflow-scheduler", "api", "dash"]
    assert operate.matching(names, "airflow") == ["airflow-api", "airflow-scheduler"]
    assert operate.matching(names, "api") == ["api"]
    assert operate.matching(names, "") == names
    with pytest.raises(LeandataError, match="SERVICE is one of: airflow-api"):
        operate.matching(names, "aip")


@pytest.mark.parametrize(("seconds", "text"), [(5, "5s"), (120, "2m"), (7200, "2h"), (200_000, "2d")])
def test_an_age_is_shown_in_its_largest_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


def module(text: str, tmp_path: Path, name: str = "m.py") -> budgets.Module:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    return budgets.measure(tmp_path / name, root=tmp_path)


def test_what_is_over_budget_is_named(tmp_path: Path) -> None:
    body = "\n".join("    x = 1" for _ in range(70))
    long = module(f"def f(a):\n{body}\n", tmp_path)
    main = module("x = 1\n" * 81, tmp_path, "p/__main__.py")
    assert budgets.over([long, main]) == [
        f"0 lines of tests for 152 lines of code: {budgets.TESTS_PER_CODE} times as many are wanted",
        "m.py: f has 71 lines (budget 60)",
        "m.py: f is not annotated",
        "p/__main__.py has 81 lines (budget 80)",
    ]


def test_a_test_is_counted_as_a_test(tmp_path: Path) -> None:
    code = module("x = 1\n", tmp_path)
    test = module("def test_x():\n    pass\n", tmp_path, "tests/test_m.py")
    assert budgets.totals([code, test]) == (1, 2)
    assert budgets.over([code, test]) == []


def test_a_new_service_has_all_that_a_team_needs(tmp_path: Path) -> None:
    (tmp_path / "infra" / "environments").mkdir(parents=True)
    local = (ROOT / "infra" / "environments" / "local.toml").read_text()
    (tmp_path / "infra" / "environments" / "local.toml").write_text(local)
    made = scaffold.scaffold("pricing", root=tmp_path)
    assert {Path(path).name for path in made} >= {
        "service.toml",
        "deploy.py",
        "outputs.py",
        "README.md",
        "test_pricing.py",
    }
    assert graph.discover(tmp_path)["pricing"].module == "services.pricing.deploy"
    from infra.components.manifest import ServiceManifest
    from infra.environment import Environment

    assert ServiceManifest.load("pricing", root=tmp_path).owner == "data-team"
    assert Environment.load("local", environ={}, root=tmp_path).port("pricing") == 16415
    with pytest.raises(LeandataError, match="the service pricing exists"):
        scaffold.scaffold("pricing", root=tmp_path)


@pytest.mark.parametrize("name", ["", "Api", "a", "1x", "../x", "a_b", "x" * 30])
def test_a_name_that_cannot_be_a_service_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(LeandataError, match="cannot name a service"):
        scaffold.scaffold(name, root=tmp_path)


def test_the_cache_is_where_the_machine_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("LEANDATA_CACHE", raising=False)
    assert bootstrap.cache() == tmp_path / "xdg" / "leandata"
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path / "own"))
    assert bootstrap.cache() == tmp_path / "own"


def test_set_up_is_ready_only_for_the_lock_files_it_was_made_for(tmp_path: Path) -> None:
    assert bootstrap.ready(ROOT)
    assert not bootstrap.ready(tmp_path)
    with pytest.raises(bootstrap.SetupError, match="Run `make setup`"):
        bootstrap.pulumi_path(tmp_path)


def test_a_machine_without_the_cli_the_internet_and_go_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(bootstrap.SetupError, match=r"Go is missing to build it. Install Go 1.26 or newer"):
        bootstrap._find_pulumi(tmp_path)


def test_a_cache_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEANDATA_CACHE", "/proc/cache")
    with pytest.raises(bootstrap.SetupError, match="the cache /proc/cache cannot be written"):
        bootstrap.setup(tmp_path)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("\n code: 255\n stdout: \n stderr: error: failed to load checkpoint: EOF\n", "failed to load checkpoint: EOF"),
        ("\n code: 1\n stdout: x\n stderr: warning: old\nerror: no stack\n", "no stack"),
        ("\n code: -9\n stdout: \n stderr: \n", "stderr:"),
        ("", "the engine gave no reason"),
    ],
)
def test_the_reason_of_a_failed_command_is_its_last_error(printed: str, said: str) -> None:
    assert reason(printed) == said


def test_make_hands_the_environment_on_as_it_is() -> None:
    answer = subprocess.run(
        ["make", "-s", "--eval", "show:; @echo $$CI $$HOME", "show"],
        cwd=bootstrap.ROOT, env={**os.environ, "CI": "true", "HOME": "/here"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout == "true /here\n"


@pytest.mark.parametrize(
    ("words", "cloud"),
    [
        (["deploy"], False),
        (["deploy", "--env", "local"], False),
        (["deploy", "--env", "prod"], True),
        (["deploy", "--env=dev"], True),
        (["status", "--json"], False),
        (["backup"], False),
        (["backup", "--env", "prod"], True),
        (["render", "--env", "local"], True),
        (["check"], True),
        (["test", "--fast"], True),
        ([], False),
    ],
)
def test_the_cloud_s_libraries_are_installed_only_for_who_needs_them(
    words: list[str], *, cloud: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENV", raising=False)
    assert bootstrap.needs_cloud(words) is cloud
