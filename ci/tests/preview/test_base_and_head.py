"""Base and head: which commits they are, the checkout that always goes, graphs that are kept and run side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.graphs import Cache, Pair, Wanted, pairs, shares
from ci.preview.running import CHECKOUT, Asked, ask, read
from ci.preview.sources import Commit, Facts, Repository, choose
from leandata.errors import LeandataError

HEAD, PARENT, FORK = "h" * 40, "p" * 40, "f" * 40


@pytest.mark.parametrize(
    ("facts", "chosen", "how"),
    [
        (Facts(head=HEAD, parent=PARENT, merge_base=FORK, main="origin/main", dirty=False), FORK, "where this branch left origin/main"),
        (Facts(head=HEAD, parent=PARENT, merge_base=FORK, main="origin/main", dirty=True), FORK, "where this branch left origin/main"),
        (Facts(head=HEAD, parent=PARENT, merge_base=HEAD, main="main", dirty=True), HEAD, "the last commit, against the uncommitted changes"),
        (Facts(head=HEAD, parent=PARENT, merge_base=HEAD, main="main", dirty=False), PARENT, "the commit before the last"),
        (Facts(head=HEAD, parent=PARENT, merge_base="", main="", dirty=False), PARENT, "the commit before the last"),
        (Facts(head=HEAD, parent="", merge_base="", main="", dirty=True), HEAD, "the last commit, against the uncommitted changes"),
        (Facts(head=HEAD, parent="", merge_base=HEAD, main="main", dirty=False), "", "there is no earlier commit"),
    ],
)  # fmt: skip
def test_the_base_is_where_the_branch_left_or_what_was_before(facts: Facts, chosen: str, how: str) -> None:
    assert choose(facts) == (chosen, how)


# -- a small repository, whose programs are as quick as a print ----------------------------------------------------------

ENVIRONMENTS = ("infra/environments/one.toml", "infra/environments/two.toml")
PROGRAM = """\
import json, os, sys, pathlib
stacks = json.loads(pathlib.Path("stacks.json").read_text())
asked = sys.argv[1:]
some = dict(asked[place + 1].split("=") for place, word in enumerate(asked) if word == "--stacks")
given = json.loads(pathlib.Path(asked[asked.index("--outputs") + 1]).read_text()) if "--outputs" in asked else {}
def only(environment):
    return some[environment].split(",") if environment in some else list(stacks)
def one(name, environment):
    if stacks[name] == "broken":
        return None
    before = {**{n: {"said": f"{n} {stacks[n]}"} for n in only(environment)}, **given.get(environment, {})}
    resource = {"urn": f"urn:pulumi:{environment}::{name}::t:index:T::{name}", "type": "t:index:T", "name": name,
        "parent": "", "custom": True, "properties": {"v": stacks[name], "at": os.getcwd() + "/x", "python": sys.executable,
        "before": before.get("a", {}).get("said"), "home": os.environ.get("LEANDATA_HOME", "")}, "needs": [],
        "protect": False, "retain": False, "ignore": [], "future": 1}
    return {"needs": [], "outputs": {"said": f"{name} {stacks[name]}"}, "resources": [resource]}
names = [name for name in asked if name in ("one", "two")]
answers = {}
ran = sorted({stack for name in names for stack in only(name)})
pathlib.Path(os.environ["SEEN"]).open("a").write(json.dumps([os.getcwd(), ran]) + "\\n")
for name in names:
    made = {stack: one(stack, name) for stack in only(name)}
    answers[name] = {"stacks": made} if all(made.values()) else {"error": "NameError: broken"}
"""
MANY = 'print(json.dumps({"version": 1, "environments": answers}))\n'
SINGLE = 'print(json.dumps({"version": 1, **answers[names[0]]}))\n'


class Small:
    """A repository with a commit for every `commit`, and what its programs saw."""

    def __init__(self, root: Path) -> None:
        self.root, self.seen_at = root / "repository", root / "seen"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.store = Cache(folder=root / "cache", packages="p")
        self.said: list[str] = []

    def git(self, *arguments: str) -> str:
        own = {"GIT_AUTHOR_DATE": "2026-11-25T10:00:00Z", "GIT_COMMITTER_DATE": "2026-11-25T10:00:00+02:00"}
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *who, *arguments], cwd=self.root, env={**os.environ, **own}, check=True, capture_output=True, text=True).stdout.strip()  # fmt: skip

    def write(self, stacks: dict[str, str], *, old: bool = False) -> None:
        for name in ENVIRONMENTS:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text("[substrates]\n")
        for stack in stacks:
            folder = self.root / "services" / stack
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "deploy.py").write_text("")
        (self.root / "ci" / "preview").mkdir(parents=True, exist_ok=True)
        (self.root / "ci" / "__init__.py").write_text("")
        (self.root / "ci" / "preview" / "__init__.py").write_text("")
        (self.root / "ci" / "programs.py").write_text(PROGRAM + SINGLE)
        if not old:
            (self.root / "ci" / "preview" / "declaring.py").write_text(PROGRAM + MANY)
        (self.root / ".gitignore").write_text("__pycache__\n")
        (self.root / "stacks.json").write_text(json.dumps(stacks))

    def commit(self, stacks: dict[str, str], *, old: bool = False) -> str:
        self.write(stacks, old=old)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    @property
    def repository(self) -> Repository:
        return Repository(root=self.root)

    def pairs(self, *environments: str, base: str = "", **affected: tuple[str, ...]) -> dict[str, Pair]:
        wanted = Wanted(environments=environments or ("one",), affected=affected)
        return pairs(self.repository, self.repository.sources(base), wanted, store=self.store, say=self.said.append)

    def seen(self) -> list[tuple[str, list[str]]]:
        """Every run: whether it was of the base or the head, and its stacks."""
        lines = self.seen_at.read_text().splitlines() if self.seen_at.exists() else []
        self.seen_at.unlink(missing_ok=True)
        rows = [json.loads(line) for line in lines]
        return sorted(("head" if place == str(self.root) else "base", stacks) for place, stacks in rows)

    def left(self) -> list[str]:
        """Work trees besides the repository's own, as git and the temporary folder have them."""
        known = self.git("worktree", "list", "--porcelain").split("\n\n")[1:]
        return [*known, *(str(path) for path in Path(os.environ["TMPDIR"]).glob("leandata-preview-*"))]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("LEANDATA_HOME", "of this machine")
    return Small(tmp_path)


def test_sources_are_what_git_says(small: Small) -> None:
    first = small.commit({"a": "1"})
    second = small.commit({"a": "2"})
    found = small.repository.sources()
    assert found.base is not None
    assert (found.base.id, found.head.id, found.dirty) == (first, second, False)
    assert found.head.time == datetime(2026, 11, 25, 8, tzinfo=UTC)
    (small.root / "untracked").write_text("x")
    found = small.repository.sources()
    assert found.base is not None
    assert (found.base.id, found.dirty) == (second, True)


def test_a_branch_is_compared_with_where_it_left_main(small: Small) -> None:
    first = small.commit({"a": "1"})
    small.git("checkout", "-q", "-b", "mine")
    small.commit({"a": "2"})
    small.commit({"a": "3"})
    found = small.repository.sources()
    assert found.base is not None
    assert (found.base.id, found.how) == (first, "where this branch left main")
    asked = small.repository.sources("HEAD~1")
    assert asked.how == "asked for as HEAD~1"


def test_a_branch_that_has_gone_on_is_compared_with_where_it_was_left(small: Small) -> None:
    first = small.commit({"a": "1"})
    small.git("checkout", "-q", "-b", "mine")
    head = small.commit({"a": "2"})
    small.git("checkout", "-q", "main")
    newer = small.commit({"a": "3"})
    small.git("checkout", "-q", "mine")
    found = small.repository.sources("main")
    assert found.base is not None
    assert (found.base.id, found.how) == (first, "where this branch left main")
    small.git("checkout", "-q", "main")
    small.git("reset", "-q", "--hard", first)
    back = small.repository.sources(newer)
    assert back.base is not None
    assert (back.base.id, back.how, back.behind) == (newer, f"asked for as {newer}", True), "what going back would do"
    assert head != newer


@pytest.mark.parametrize("asked", ["nothing", "--output=x", "HEAD~9", "", " "])
def test_a_base_that_is_not_there_is_said(small: Small, asked: str) -> None:
    small.commit({"a": "1"})
    if not asked:
        assert small.repository.sources(asked).base is None
        return
    with pytest.raises(LeandataError, match=r"there is no commit .* here"):
        small.repository.sources(asked)


def test_a_folder_without_a_commit_is_said(small: Small) -> None:
    with pytest.raises(LeandataError, match="there is no commit to preview"):
        small.repository.sources()


def test_base_and_head_are_run_each_in_its_own_checkout_as_if_in_the_same_place(small: Small) -> None:
    small.commit({"a": "1"})
    small.commit({"a": "2"})
    pair = small.pairs()["one"]
    values = [next(iter(side.programs["a"].resources.values())).properties for side in (pair.base, pair.head)]
    assert [found["v"] for found in values] == ["1", "2"]
    assert values[0]["at"] == values[1]["at"] == f"{CHECKOUT}/x"
    assert values[0]["python"] == values[1]["python"] == "<python>"
    assert values[0]["home"] == "", "nothing of this machine's settings"
    assert small.seen() == [("base", ["a"]), ("head", ["a"])]
    assert small.left() == []


def test_several_environments_are_one_run_of_each_side(small: Small) -> None:
    small.commit({"a": "1"})
    small.commit({"a": "2"})
    found = small.pairs("one", "two")
    assert list(found) == ["one", "two"]
    assert len(small.seen()) == 2


def test_the_second_time_nothing_is_run(small: Small) -> None:
    small.commit({"a": "1"})
    small.commit({"a": "2"})
    first = small.pairs()
    small.seen()
    assert small.pairs() == first
    assert small.seen() == []


def test_a_base_that_is_kept_is_not_run_again_for_another_head(small: Small) -> None:
    base = small.commit({"a": "1"})
    small.pairs(base=base)
    small.seen()
    small.commit({"a": "2"})
    small.pairs(base=base)
    assert small.seen() == [("head", ["a"])]


def test_uncommitted_changes_are_run_every_time_and_never_kept(small: Small) -> None:
    small.commit({"a": "1"})
    for value in ("2", "3"):
        small.write({"a": value})
        found = small.pairs()["one"].head.programs["a"].resources
        assert [one.properties["v"] for one in found.values()] == [value]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"error": "x"}', b"\xff\xfe"])
def test_a_damaged_cache_costs_a_run_and_no_more(small: Small, damage: bytes) -> None:
    small.commit({"a": "1"})
    small.commit({"a": "2"})
    first = small.pairs()
    for path in small.store.folder.iterdir():
        path.write_bytes(damage)
    assert small.pairs() == first


def test_another_tree_environment_or_set_of_packages_is_another_entry(small: Small) -> None:
    other = Cache(folder=small.store.folder, packages="q")
    files = {
        small.store.file("t", "one"),
        small.store.file("t", "two"),
        small.store.file("u", "one"),
        other.file("t", "one"),
    }
    assert len(files) == 4


def test_what_was_not_asked_for_longest_is_forgotten(small: Small) -> None:
    for number in range(70):
        small.store.keep(f"tree{number}", "one", {"stacks": {}})
        os.utime(small.store.file(f"tree{number}", "one"), (number, number))
    assert small.store.load("tree69", "one") is not None
    assert small.store.load("tree1", "one") is None
    assert len(list(small.store.folder.iterdir())) <= 60


def test_only_stacks_that_can_differ_are_run_when_the_base_is_known(small: Small) -> None:
    base = small.commit({"a": "1", "b": "1", "c": "1"})
    small.pairs(base=base)
    small.seen()
    small.commit({"a": "1", "b": "2", "c": "1"})
    pair = small.pairs(base=base, one=("b",))["one"]
    assert small.seen() == [("head", ["b"])]
    assert sorted(pair.head.programs) == ["a", "b", "c"]
    changed = next(iter(pair.head.programs["b"].resources.values())).properties
    assert (changed["v"], changed["before"]) == ("2", "a 1"), "with the outputs of those that were not run"
    assert small.pairs(base=base, one=())["one"].head.programs == small.pairs(base=base)["one"].base.programs


def test_each_environment_runs_the_stacks_that_can_differ_in_it(small: Small) -> None:
    base = small.commit({"a": "1", "b": "1", "c": "1"})
    small.pairs("one", "two", base=base)
    small.seen()
    small.commit({"a": "2", "b": "2", "c": "2"})
    found = small.pairs("one", "two", base=base, one=("a", "b"), two=("c",))
    versions = {
        name: {one.name: one.properties["v"] for made in pair.head.programs.values() for one in made.resources.values()}
        for name, pair in found.items()
    }
    assert versions == {"one": {"a": "2", "b": "2", "c": "1"}, "two": {"a": "1", "b": "1", "c": "2"}}
    assert small.pairs("one", "two", base=base, one=("a",))["two"].head.programs.keys() == {"a", "b", "c"}


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 20), max_size=6), st.integers(1, 4))
def test_work_is_shared_so_that_no_process_waits_for_another_s_whole_work(weights: dict[str, int], count: int) -> None:
    found = shares(weights, count=count)
    assert sorted(name for names in found for name in names) == sorted(weights)
    assert all(found)
    totals = [sum(weights[name] for name in names) for names in found]
    assert max(totals, default=0) - min(totals, default=0) <= max(weights.values(), default=0)


def test_a_stack_that_is_new_at_head_is_run_though_the_base_has_it_not(small: Small) -> None:
    base = small.commit({"a": "1"})
    small.pairs(base=base)
    small.commit({"a": "1", "b": "1"})
    assert sorted(small.pairs(base=base, one=("b",))["one"].head.programs) == ["a", "b"]


def test_an_older_base_is_asked_as_it_can_answer(small: Small) -> None:
    small.commit({"a": "1"}, old=True)
    small.commit({"a": "2"})
    found = small.pairs("one", "two")
    assert [sorted(pair.base.programs) for pair in found.values()] == [["a"], ["a"]]
    assert found["one"].notes == ()


def test_a_base_that_cannot_answer_at_all_is_said_in_one_line_and_everything_is_created(small: Small) -> None:
    small.git("commit", "-q", "--allow-empty", "-m", "x")
    (small.root / "infra" / "environments").mkdir(parents=True)
    for name in ENVIRONMENTS:
        (small.root / name).write_text("[substrates]\n")
    small.git("add", "-A")
    small.git("commit", "-q", "-m", "x")
    small.commit({"a": "2"})
    pair = small.pairs()["one"]
    assert pair.base.programs == {}
    assert pair.notes == ("the base is too old to say what it declares: everything counts as created",)
    assert sorted(pair.head.programs) == ["a"]


def test_a_broken_base_leaves_its_side_empty_and_a_broken_head_says_why(small: Small) -> None:
    small.commit({"a": "broken"})
    small.commit({"a": "2"})
    pair = small.pairs()["one"]
    assert pair.notes == ("the base cannot be run, so everything counts as created: NameError: broken",)
    small.commit({"a": "broken"})
    assert small.pairs()["one"].head.error == "NameError: broken"


def test_an_environment_that_is_new_is_all_created(small: Small) -> None:
    small.commit({"a": "1"})
    small.git("rm", "-q", ENVIRONMENTS[1])
    small.git("commit", "-q", "-m", "x")
    small.commit({"a": "2"})
    pair = small.pairs("two")["two"]
    assert pair.notes == ("the base has no such environment: everything is created",)
    assert (pair.base.programs, sorted(pair.head.programs)) == ({}, ["a"])


def test_fields_of_resources_that_are_unknown_or_missing_are_no_error() -> None:
    raw = {"urn": "u", "type": "t", "name": "n", "parent": "", "custom": True, "properties": {}, "needs": ["x"], "protect": False, "retain": False, "ignore": [], "more": 1}  # fmt: skip
    found = read({"stacks": {"a": {"outputs": {}, "resources": [raw]}}})
    assert found.programs["a"].resources["u"].needs == ("x",)
    assert found.needs == {"a": ()}


SLOW = "import pathlib, time, os\npathlib.Path(os.environ['SEEN']).write_text(str(os.getpid()))\ntime.sleep(60)\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["^C", "SIGTERM"])
def test_an_interrupt_leaves_no_checkout_and_no_process(small: Small, number: int) -> None:
    small.commit({"a": "1"})
    (small.root / "ci" / "preview" / "declaring.py").write_text(SLOW)
    small.git("add", "-A")
    small.git("commit", "-q", "-m", "slow")
    small.git("commit", "-q", "--allow-empty", "-m", "x")
    code = (
        "import signal\n"
        "from pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it\n"
        "from ci.tests.preview.test_base_and_head import asked_for\n"
        f"asked_for(Path({str(small.root)!r}), Path({str(small.store.folder)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not small.seen_at.exists() or not small.seen_at.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    child = int(small.seen_at.read_text())
    assert small.left() != []
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors
    assert small.left() == []
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def asked_for(root: Path, cache: Path) -> None:
    """What the interrupted process does."""
    repository = Repository(root=root)
    store = Cache(folder=cache, packages="p")
    pairs(repository, repository.sources(), Wanted(environments=("one",)), store=store, say=lambda said: None)


def test_a_checkout_is_removed_also_after_an_error(small: Small) -> None:
    commit = small.commit({"a": "1"})
    found = small.repository.commit(commit)
    assert isinstance(found, Commit)

    def fail() -> None:
        with small.repository.checkout(found) as place:
            raise ValueError(str((place / "stacks.json").exists()))

    with pytest.raises(ValueError, match="True"):
        fail()
    assert small.left() == []


def test_hooks_of_the_repository_are_not_run(small: Small, tmp_path: Path) -> None:
    commit = small.repository.commit(small.commit({"a": "1"}))
    hook = small.root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    assert commit is not None
    with small.repository.checkout(commit):
        pass
    assert not (tmp_path / "ran").exists()


def test_a_process_that_says_nothing_useful_is_told_in_one_line(small: Small) -> None:
    small.write({"a": "1"})
    (small.root / "ci" / "preview" / "declaring.py").write_text("raise SystemExit('out of luck')\n")
    answer: dict[str, Any] = ask(Asked(root=small.root, environments=("one", "two")))[0]
    assert answer == {name: {"error": "the programs cannot be run: out of luck"} for name in ("one", "two")}
