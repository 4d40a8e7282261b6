"""What checkouts answer, what is kept of it, and which commit is the base: also when git or a program misbehaves."""

from __future__ import annotations

import os
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.declaring import answer
from ci.preview.graphs import Cache, demand
from ci.preview.making import Reasons, said
from ci.preview.running import CHECKOUT, Asked, Graph, ask, read
from ci.preview.sources import Commit, Facts, Repository, Sources, choose
from leandata.errors import LeandataError

TIME = datetime(2026, 11, 25, 14, 2, tzinfo=UTC)
BASE = Commit(id="b" * 40, tree="1" * 40, time=TIME)
HEAD = Commit(id="a" * 40, tree="2" * 40, time=TIME)
ANSWER = {"stacks": {"api": {"needs": ["lake"], "outputs": {"x": 1}, "resources": []}}}


# -- answers that are kept ---------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(folder=tmp_path / "kept", packages="p")


def test_what_is_kept_is_loaded_again(store: Cache) -> None:
    store.keep("tree", "dev", ANSWER)
    assert store.load("tree", "dev") == ANSWER
    assert store.load("tree", "prod") is None
    assert store.load("other", "dev") is None


def test_a_later_answer_takes_the_place_of_the_earlier_one(store: Cache) -> None:
    store.keep("tree", "dev", ANSWER)
    store.keep("tree", "dev", {"stacks": {}})
    assert store.load("tree", "dev") == {"stacks": {}}
    assert len(list(store.folder.iterdir())) == 1, "no half-written file is left"


@pytest.mark.parametrize("nothing", [{}, {"error": "NameError: x"}])
def test_an_error_is_not_kept_so_the_next_run_tries_again(store: Cache, nothing: dict[str, Any]) -> None:
    store.keep("tree", "dev", nothing)
    assert store.load("tree", "dev") is None
    assert not store.folder.exists()


def test_nobody_else_on_the_machine_reads_what_is_kept(store: Cache) -> None:
    store.keep("tree", "dev", ANSWER)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.file("tree", "dev").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damage",
    ["", "{", "null", "[]", "5", '"stacks"', '{"error": "x"}', '{"stacks": null}', '{"stacks": []}', '{"stacks": 5}'],
)
def test_a_file_that_holds_no_answer_is_as_good_as_none(store: Cache, damage: str) -> None:
    store.keep("tree", "dev", ANSWER)
    store.file("tree", "dev").write_text(damage)
    assert store.load("tree", "dev") is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Cache(folder=tmp_path / "file" / "kept", packages="p")
    store.keep("tree", "dev", ANSWER)
    assert store.load("tree", "dev") is None
    assert (tmp_path / "file").read_text() == "in the way"


def test_asking_for_an_answer_keeps_it_from_being_forgotten(store: Cache) -> None:
    for number in range(60):
        store.keep(f"tree{number}", "dev", ANSWER)
        os.utime(store.file(f"tree{number}", "dev"), (number, number))
    assert store.load("tree0", "dev") is not None
    store.keep("one more", "dev", ANSWER)
    assert store.load("tree0", "dev") is not None
    assert store.load("tree1", "dev") is None, "it was not asked for the longest time"


def test_another_set_of_locked_packages_has_other_answers(tmp_path: Path) -> None:
    def packages() -> str:
        return Cache.of(tmp_path).packages

    none = packages()
    (tmp_path / "uv.lock").write_text("one")
    one = packages()
    (tmp_path / "uv.lock").write_text("two")
    assert len({none, one, packages()}) == 3


@given(st.text(max_size=50), st.text(max_size=50))
def test_no_name_of_a_tree_or_an_environment_leads_out_of_the_folder(tree: str, environment: str) -> None:
    store = Cache(folder=Path("/kept"), packages="p")
    path = store.file(tree, environment)
    assert path.parent == Path("/kept")
    assert path.suffix == ".json"
    assert path.stem.isalnum()


# -- answers that are read ---------------------------------------------------------------------------------------------


RAW = {"urn": "u", "type": "t", "name": "n", "parent": "", "custom": True, "properties": {"a": 1}, "needs": ["x", "y"], "protect": True, "retain": False, "ignore": ["b"], "aliases": ["old"], "deletes_first": True}  # fmt: skip


def test_an_answer_is_read_as_programs_with_what_they_need_and_put_out() -> None:
    found = read({"stacks": {"api": {"needs": ["lake"], "outputs": {"x": 1}, "resources": [RAW]}}})
    one = found.programs["api"].resources["u"]
    assert (one.needs, one.ignore, one.aliases, one.protect, one.deletes_first) == (("x", "y"), ("b",), ("old",), True, True)  # fmt: skip
    assert (found.needs, found.programs["api"].outputs, found.error) == ({"api": ("lake",)}, {"x": 1}, "")


@pytest.mark.parametrize("missing", ["aliases", "deletes_first"])
def test_what_an_older_checkout_does_not_say_has_its_default(missing: str) -> None:
    raw = {key: value for key, value in RAW.items() if key != missing}
    one = read({"stacks": {"api": {"outputs": {}, "resources": [raw]}}}).programs["api"].resources["u"]
    assert not getattr(one, missing)


def test_an_error_is_read_as_the_reason_why_nothing_is_known() -> None:
    found = read({"error": "NameError: x"})
    assert found == Graph(error="NameError: x")
    with pytest.raises(LeandataError, match=r"^the programs of prod fail: NameError: x$"):
        demand(found, "prod")


def test_a_graph_without_an_error_is_good_enough_also_when_it_is_empty() -> None:
    demand(read({"stacks": {}}), "prod")


# -- checkouts that misbehave ------------------------------------------------------------------------------------------


def checkout(root: Path, program: str) -> Path:
    """A checkout that answers by this program."""
    folder = root / "ci" / "preview"
    folder.mkdir(parents=True)
    for name in (root / "ci", folder):
        (name / "__init__.py").write_text("")
    (folder / "declaring.py").write_text(program)
    return root


def asked(root: Path, program: str) -> dict[str, Any]:
    return ask(Asked(root=checkout(root, program), environments=("dev", "prod")))[0]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit('out of luck')", "out of luck"),
        ("raise ValueError('a\\nb')", "b"),
        ("import os; os._exit(9)", "no reason given"),
        ("print('{')", "no reason given"),
        ("print('null')", "no reason given"),
        ("print('5')", "no reason given"),
        ("print('[]')", "no reason given"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "no reason given"),
        ("import sys; sys.stderr.buffer.write(b'bad \\xff end')", "bad \N{REPLACEMENT CHARACTER} end"),
        ("import sys; sys.exit('x' * 5000)", "x" * 400),
    ],
)
def test_a_checkout_that_gives_no_answer_says_one_line_for_each_environment(
    tmp_path: Path, program: str, reason: str
) -> None:
    error = {"error": f"the programs cannot be run: {reason}"}
    assert asked(tmp_path, program) == {"dev": error, "prod": error}


def test_an_answer_larger_than_a_pipe_arrives_whole(tmp_path: Path) -> None:
    program = "import json\nprint(json.dumps({'environments': {'dev': {'stacks': {}, 'long': 'x' * 3_000_000}}}))"
    assert len(asked(tmp_path, program)["dev"]["long"]) == 3_000_000


def test_a_program_reads_nothing_of_the_terminal_and_sees_none_of_this_machines_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEANDATA_ENV", "prod")
    monkeypatch.setenv("LEANDATA_STATE", "/mine")
    program = (
        "import json, os, sys\n"
        "seen = {name: value for name, value in os.environ.items() if name.startswith('LEANDATA_')}\n"
        "print(json.dumps({'environments': {'dev': {'seen': seen, 'read': sys.stdin.read()}}}))"
    )
    assert asked(tmp_path, program)["dev"] == {"seen": {"LEANDATA_STATE": "/leandata-state"}, "read": ""}


def test_paths_of_the_checkout_are_the_same_wherever_it_lies_and_longer_names_are_left(tmp_path: Path) -> None:
    program = (
        "import json, os, sys\n"
        "here = os.getcwd()\n"
        "print(json.dumps({'environments': {'dev': [here + '/x', here, here + '-other/x', sys.executable]}}))"
    )
    found = asked(tmp_path / "here", program)["dev"]
    assert found == [f"{CHECKOUT}/x", str(CHECKOUT), f"{tmp_path}/here-other/x", "<python>"]


def test_checkouts_are_answered_in_the_order_in_which_they_were_asked(tmp_path: Path) -> None:
    program = "import json, time\ntime.sleep({})\nprint(json.dumps({{'environments': {{'dev': {{'error': '{}'}}}}}}))"
    places = [checkout(tmp_path / name, program.format(pause, name)) for name, pause in (("slow", 0.3), ("quick", 0))]
    found = ask(*(Asked(root=place, environments=("dev",)) for place in places))
    assert [one["dev"]["error"] for one in found] == ["slow", "quick"]


def test_nothing_asked_is_nothing_answered() -> None:
    assert ask() == []


def test_an_environment_that_cannot_be_read_is_one_line_and_the_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEANDATA_ENV", "local")  # so that it is put back afterwards
    (tmp_path / "infra" / "environments").mkdir(parents=True)
    (tmp_path / "infra" / "environments" / "mars.toml").write_text("this is\nno TOML [")
    found = answer(["mars", "venus"], root=tmp_path)["environments"]
    assert list(found["mars"]) == ["error"]
    assert found["mars"]["error"]
    assert len(found["mars"]["error"].splitlines()) == 1
    assert found["venus"] == {"stacks": {}}


# -- which commits -----------------------------------------------------------------------------------------------------


IDS = st.sampled_from(["", "a" * 40, "b" * 40, "c" * 40])


@given(IDS.filter(bool), IDS, IDS, st.booleans())
def test_a_base_is_always_an_earlier_commit_or_the_one_under_uncommitted_work(
    head: str, parent: str, merge_base: str, dirty: bool
) -> None:
    chosen, how = choose(Facts(head=head, parent=parent, merge_base=merge_base, main="origin/main", dirty=dirty))
    assert chosen in {merge_base, parent, head, ""}
    assert how
    if chosen == head and head not in (parent, merge_base):
        assert dirty
    if not chosen:
        assert not dirty
        assert not parent


@pytest.mark.parametrize(("dirty", "shown"), [(False, "aaaaaaaaaa"), (True, "aaaaaaaaaa + uncommitted changes")])
@pytest.mark.parametrize(("base", "identity"), [(BASE, "b" * 40), (None, "")])
def test_a_preview_says_the_commits_that_were_compared(dirty: bool, shown: str, base: Any, identity: str) -> None:
    found = said(Sources(base=base, how="the commit before the last", head=HEAD, dirty=dirty))
    assert (found.base, found.how, found.head, found.shown) == (identity, "the commit before the last", "a" * 40, shown)


@pytest.mark.parametrize(
    "sources",
    [
        Sources(base=None, how="", head=HEAD, dirty=False),
        Sources(base=BASE, how="", head=HEAD, dirty=False, behind=True),
    ],
    ids=["nothing before", "going back"],
)
def test_without_a_way_forward_from_the_base_every_stack_can_differ(sources: Sources, tmp_path: Path) -> None:
    assert Reasons(root=tmp_path)(sources, "prod") is None


class Repo:
    """A repository with three commits on main, and a tag."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q", "-b", "main")
        self.ids = [self.commit(str(number)) for number in range(3)]
        self.git("tag", "v1", self.ids[0])

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
        run = subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return run.stdout.strip()

    def commit(self, said: str) -> str:
        (self.root / "file").write_text(said)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", said)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


def test_a_base_is_found_by_tag_by_branch_and_by_the_beginning_of_its_id(repo: Repo) -> None:
    repository = Repository(root=repo.root)
    for name in ("v1", "HEAD~2", repo.ids[0][:8], repo.ids[0]):
        found = repository.sources(name)
        assert found.base is not None
        assert (found.base.id, found.how, found.behind) == (repo.ids[0], f"asked for as {name}", False)


@pytest.mark.parametrize("strange", ["mars", "-n", "--all", "HEAD:file", "file", "v1 HEAD", "HEAD~9", "0" * 40])
def test_what_names_no_commit_is_refused_with_what_to_do(repo: Repo, strange: str) -> None:
    with pytest.raises(LeandataError) as caught:
        Repository(root=repo.root).sources(strange)
    assert str(caught.value) == (
        f"there is no commit {strange!r} here. BASE is a commit, a branch or a tag of this clone; "
        "`git fetch` brings what it lacks"
    )


@pytest.mark.parametrize("what", ["changed", "staged", "untracked", "deleted"])
def test_uncommitted_work_of_any_kind_is_the_head(repo: Repo, what: str) -> None:
    assert not Repository(root=repo.root).sources().dirty
    if what == "deleted":
        (repo.root / "file").unlink()
    else:
        (repo.root / ("new" if what == "untracked" else "file")).write_text("else")
    if what == "staged":
        repo.git("add", "-A")
    found = Repository(root=repo.root).sources()
    assert found.base is not None
    assert (found.dirty, found.base.id) == (True, repo.ids[-1])


def test_ignored_files_are_no_uncommitted_work(repo: Repo) -> None:
    (repo.root / ".gitignore").write_text("*.log\n")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "x")
    (repo.root / "a.log").write_text("x")
    assert not Repository(root=repo.root).sources().dirty


def test_what_git_refuses_is_one_line_with_the_place(repo: Repo) -> None:
    with pytest.raises(LeandataError) as caught:
        Repository(root=repo.root).git("cat-file", "-p", "mars")
    assert str(caught.value).startswith("git cat-file failed: fatal: ")
    assert str(caught.value).endswith(f"({repo.root})")
    assert "\n" not in str(caught.value)


def test_a_checkout_of_the_base_has_its_files_and_leaves_the_work_tree_alone(repo: Repo) -> None:
    repository = Repository(root=repo.root)
    (repo.root / "file").write_text("not committed")
    first = repository.commit("v1")
    assert first is not None
    with repository.checkout(first) as place:
        assert (place / "file").read_text() == "0"
        assert not place.is_relative_to(repo.root)
    assert not place.exists()
    assert not place.parent.exists()
    assert (repo.root / "file").read_text() == "not committed"
    assert repo.git("rev-parse", "--abbrev-ref", "HEAD") == "main"


def test_two_checkouts_at_once_do_not_get_in_each_others_way(repo: Repo) -> None:
    repository = Repository(root=repo.root)
    first, last = repository.commit("v1"), repository.commit("HEAD")
    assert first is not None
    assert last is not None
    with repository.checkout(first) as one:
        with repository.checkout(last) as other:
            assert [(place / "file").read_text() for place in (one, other)] == ["0", "2"]
        assert (one / "file").exists()
    assert len(repo.git("worktree", "list").splitlines()) == 1


def test_a_commit_that_is_gone_leaves_no_folder_behind(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo.root.parent / "temporary").mkdir(exist_ok=True)
    monkeypatch.setenv("TMPDIR", str(repo.root.parent / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(LeandataError, match="git worktree failed: "), Repository(root=repo.root).checkout(BASE):
        pass
    assert list((repo.root.parent / "temporary").iterdir()) == []
