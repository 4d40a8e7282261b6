"""`make preview`: exit codes, the files, the same bytes every time, no network, no credentials, no CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from ci.preview.document import SCHEMA, text
from ci.preview.graphs import Cache
from ci.preview.making import Given, Made, failed, given, make, only
from ci.preview.markdown import markdown
from ci.preview.page import page
from ci.preview.running import Asked, ask, read
from ci.preview.sources import Repository
from ci.testing import graph
from ci.tests.preview.previews import COMMITS, change, preview, stack
from ci.verbs.preview import Looks, asked, folders, write
from infra.environment import ROOT
from leandata.errors import LeandataError

FILES = ["preview.html", "preview.json", "preview.md"]


def test_environments_are_one_several_or_all() -> None:
    assert asked("dev") == ["dev"]
    assert asked("prod, dev,dev") == ["dev", "prod"]
    assert {"local", "prod"} <= set(asked("all"))
    for strange in ("mars", "", ",", "dev,mars", "../dev"):
        with pytest.raises(LeandataError, match=r"unknown environment .* ENV is one of: .*, all"):
            asked(strange)


def test_one_report_lies_where_it_is_asked_for_and_several_by_name() -> None:
    assert folders("out", ["dev"]) == {"dev": Path("out")}
    assert folders("out", ["dev", "prod"]) == {"dev": Path("out/dev"), "prod": Path("out/prod")}
    assert folders("", ["dev"]) == {"dev": ROOT / ".leandata" / "preview" / "dev"}


def test_a_report_replaces_the_one_before_also_when_it_failed(tmp_path: Path) -> None:
    write(Made(preview=preview(stack(change("a"), same=7)), counts={}), tmp_path)
    assert "update 1" in (tmp_path / "preview.md").read_text()
    write(failed("prod", COMMITS, "no luck"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    for name in FILES:
        whole = (tmp_path / name).read_text()
        assert "no luck" in whole
        assert "update 1" not in whole
    jsonschema.validate(json.loads((tmp_path / "preview.json").read_text()), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize(("said", "name", "why"), [("no", "local", "LIVE=no was said"), ("", "prod", "LIVE=yes adds it, with the environment's credentials"), ("", "local", "it is not deployed from here")])  # fmt: skip
def test_without_a_look_at_the_live_state_the_reason_is_said(
    said: str, name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEANDATA_STATE", str(tmp_path))
    found = Looks(asked=said).look(name)
    assert not callable(found)
    assert (found.compared, found.why) == (False, why)


def test_live_is_yes_or_no() -> None:
    with pytest.raises(LeandataError, match=r"LIVE is 'perhaps'. It is yes or no"):
        Looks(asked="perhaps")


def test_only_some_stacks_are_shown_when_only_they_are_asked_for() -> None:
    made = Made(preview=preview(stack(change("a"), name="lake"), stack(change("b"), name="api")), counts={})
    shown = only(made, ["api"]).preview
    assert [one.stack for one in shown.stacks] == ["api"]
    assert shown.notes == ("only these stacks are shown: api",)
    with pytest.raises(LeandataError, match=r"unknown stack 'mars'. STACK is one of: api, lake"):
        only(made, ["mars"])
    assert only(made, []) is made


# -- a clone of this repository, changed -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This work tree as a repository with one commit, and a second that gives the API another address."""
    root = tmp_path_factory.mktemp("clone") / "repository"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".leandata", ".state", "__pycache__", "*.pyc", ".ruff_cache", "docs"
    )
    shutil.copytree(ROOT, root, ignore=ignored, symlinks=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "before")
    manifest = root / "services" / "api" / "service.toml"
    manifest.write_text(manifest.read_text().replace('start_timeout = "120s"', 'start_timeout = "125s"', 1))
    git(root, "commit", "-q", "-am", "after")
    return root


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    own = {"GIT_AUTHOR_DATE": "2026-11-25T10:00:00Z", "GIT_COMMITTER_DATE": "2026-11-25T10:00:00Z"}
    subprocess.run(["git", *who, *arguments], cwd=root, env={**os.environ, **own}, check=True, capture_output=True)


def run(root: Path, out: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`python -m ci preview` of the clone, with the packages of this environment, and without a CLI of Pulumi on PATH."""
    places = [root, root / "shared", *sorted((root / "services").glob("*"))]
    own = {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "PATH": "/usr/bin:/bin",
        "LEANDATA_STATE": str(out / "state"),
        **environ,
    }
    code = "import sys; from ci.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "preview", "--env", "local", "--out", str(out), *options]
    return subprocess.run(command, cwd=root, env={**os.environ, **own}, capture_output=True, text=True, check=False)


@pytest.mark.integration
def test_a_change_in_a_service_is_previewed_in_a_clone_and_everything_is_written(clone: Path, tmp_path: Path) -> None:
    result = run(clone, tmp_path, LEANDATA_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 2, result.stderr
    assert "api: update 1" in result.stdout
    whole = json.loads((tmp_path / "preview.json").read_text())
    jsonschema.validate(whole, json.loads(SCHEMA.read_text()))
    assert (whole["exit_code"], whole["totals"]["update"], whole["base"]["how"]) == (2, 1, "the commit before the last")
    assert [one["stack"] for one in whole["stacks"] if one["changes"]] == ["api"]
    assert any("services/api/service.toml" in reason for one in whole["stacks"] for reason in one["reasons"])
    assert whole["fingerprint"].startswith("sha256:")
    again = run(clone, tmp_path, "--json", LEANDATA_CACHE=str(tmp_path / "cache"))
    assert json.loads(again.stdout) == whole
    assert run(clone, tmp_path, "--soft", LEANDATA_CACHE=str(tmp_path / "cache")).returncode == 0


@pytest.mark.integration
def test_without_network_credentials_and_cli_the_bytes_are_the_same(clone: Path, tmp_path: Path) -> None:
    """Run in a network namespace of its own, where the kernel allows that; hash seeds and caches differ."""
    first, second = tmp_path / "first", tmp_path / "second"
    run(clone, first, LEANDATA_CACHE=str(tmp_path / "cache"), PYTHONHASHSEED="1")
    closed = (
        ["unshare", "-rn"]
        if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0
        else []
    )
    assert closed or not shutil.which("unshare"), "the network can be closed here"
    code = "import sys; from ci.cli import run; sys.exit(run(sys.argv[1:]))"
    places = [clone, clone / "shared", *sorted((clone / "services").glob("*"))]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SNOWFLAKE_", "PULUMI_"))}
    own |= {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONHASHSEED": "2",
    }
    own |= {"LEANDATA_STATE": str(second / "state"), "LEANDATA_CACHE": str(tmp_path / "other")}
    command = [*closed, sys.executable, "-c", code, "preview", "--env", "local", "--out", str(second)]
    result = subprocess.run(command, cwd=clone, env=own, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.mark.integration
def test_a_base_that_is_not_there_fails_and_the_report_says_so(clone: Path, tmp_path: Path) -> None:
    run(clone, tmp_path, LEANDATA_CACHE=str(tmp_path / "cache"))
    result = run(clone, tmp_path, "--base", "mars", LEANDATA_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 1
    assert "there is no commit 'mars' here" in (tmp_path / "preview.md").read_text()
    assert json.loads((tmp_path / "preview.json").read_text())["failure"].startswith("there is no commit 'mars' here")


@pytest.mark.integration
def test_no_change_exits_with_0_and_says_so(clone: Path, tmp_path: Path) -> None:
    result = run(clone, tmp_path, "--base", "HEAD", LEANDATA_CACHE=str(tmp_path / "cache"))
    assert result.returncode == 0, result.stderr
    assert "**No infrastructure change**" in (tmp_path / "preview.md").read_text()


# -- the same bytes --------------------------------------------------------------------------------------------------------

_SHOW = """
import sys
from ci.tests.preview.test_the_preview_verb import everything
sys.stdout.write(everything())
"""


def everything() -> str:
    """Every form of the preview of a change in each stack of ENV=local, made from graphs that were recorded before."""
    from ci.preview.changes import compare
    from ci.preview.redacting import Redactor
    from ci.preview.running import CHECKOUT

    kept = json.loads(Path(os.environ["RECORDED"]).read_text())
    base, head = (read(kept[name]) for name in ("base", "head"))
    changes = compare(base.programs, head.programs, base_root=CHECKOUT, head_root=CHECKOUT, reasons={})
    redactor = Redactor.learned(changes)
    found = preview(*map(redactor.stack, changes), needs=head.needs)
    return "\n".join([markdown(found), text(found), page(found, counts={})])


@pytest.mark.integration
def test_twenty_runs_give_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    """The report from recorded graphs 20 times, a hash seed each; the programs themselves under two seeds."""
    answers = [ask(Asked(root=ROOT, environments=("local",)))[0]["local"] for _ in range(2)]
    assert answers[0] == answers[1]
    changed = json.loads(json.dumps(answers[0]).replace("16402", "17402").replace('"30s"', '"45s"'))
    for name in list(changed["stacks"])[:1]:
        changed["stacks"][name]["resources"].pop()
    recorded = tmp_path / "recorded.json"
    recorded.write_text(json.dumps({"base": answers[0], "head": changed}))
    seen = {
        subprocess.run(
            [sys.executable, "-c", _SHOW], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, "RECORDED": str(recorded), "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(20)
    }  # fmt: skip
    assert len(seen) == 1
    assert b"delete" in next(iter(seen))
    print("20 of 20 runs byte-identical")


def test_one_process_for_several_environments_declares_what_one_for_each_does() -> None:
    from ci.preview.declaring import answer

    names = [name for name in ("cluster", "local") if graph(name)]
    together = ask(Asked(root=ROOT, environments=tuple(names)))[0]
    for name in names:
        found = read(together[name]).programs
        assert sorted(found) == sorted(graph(name))
        assert {stack: sorted(program.resources) for stack, program in found.items()} == {
            stack: sorted(program.resources) for stack, program in graph(name).items()
        }
    assert answer([], root=ROOT) == {"version": 1, "environments": {}}


def test_this_repository_says_who_signs_what_it_costs_and_what_its_services_may() -> None:
    found = given(ROOT)
    assert isinstance(found, Given)
    assert {"airflow", "api", "dash", "dask"} <= set(found.manifests)
    assert all(found.teams.signers("cost", name) for name in found.manifests)
    assert all(manifest.budget is not None for manifest in found.manifests.values()), "each service has a budget"


def test_a_preview_that_failed_is_whole(tmp_path: Path) -> None:
    made = failed("prod", COMMITS, "x")
    jsonschema.validate(json.loads(text(made.preview)), json.loads(SCHEMA.read_text()))
    store = Cache(folder=tmp_path, packages="")
    with pytest.raises(LeandataError, match="there is no commit 'mars' here"):
        make(Repository(root=ROOT), ["local"], base="mars", given=given(ROOT), store=store)
