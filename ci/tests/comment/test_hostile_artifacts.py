"""Whatever a request puts into its artifact, no comment of another request changes, and nothing is obeyed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from ci.comment.artifact import RefusedError, preview_file
from ci.comment.event import Event
from ci.comment.posting import act, actions
from ci.comment.reading import preview
from ci.preview.document import text
from ci.tests.comment.artifacts import REFUSED, SHOWN, changing, unchanged, zipped
from ci.tests.comment.fake_github import COMMIT, FORK, Store, event, github
from infra.environment import ROOT

# What a comment may hold besides text: our own folded parts, code, breaks and hidden lines.
_TAGS = re.compile(r"</?(?:details|summary|code)>|<!-- (?:preview:prod|state:\[[^<>@]*\]) -->")


def posted(data: bytes) -> Store:
    """A fork's request 12 with this artifact, beside request 13 with comments of its own."""
    store = Store()
    store.request(12, head=FORK)
    store.request(13, commit="c" * 40, branch="other")
    store.comment(13, "<!-- preview:prod -->\nof request 13")
    store.comment(12, "<!-- preview:prod -->\nsaid by a person", by="stranger")
    store.run(7, head=FORK)
    store.artifact(7, "prod", data)
    with github(store) as client:
        found = actions(Event.model_validate(event(head=FORK)), client, environments=["prod"], root=ROOT)
        act(client, found, lambda _: None)
    return store


def comment(store: Store) -> str:
    """The one comment that was made; nothing else was written but a label and a status of this request."""
    made = [one for one in store.writes if one[1].endswith("/comments")]
    assert made == [("POST", "/repos/leandata-example/leandata/issues/12/comments")]
    assert {path.split("/")[4] for _, path in store.writes} == {"issues", "statuses"}
    assert all("/12/" in path or path.endswith(f"/statuses/{COMMIT}") for _, path in store.writes)
    assert store.on(13) == ["<!-- preview:prod -->\nof request 13"]
    assert store.on(12)[0] == "<!-- preview:prod -->\nsaid by a person"
    return store.on(12)[-1]


def nothing_is_obeyed(said: str) -> None:
    rest = _TAGS.sub("", said)
    assert "<" not in rest
    assert not re.search(r"@[A-Za-z]", rest)
    assert not re.search(r"(?<!&)#\d", rest)
    links = re.findall(r"\]\(([^)]*)\)", rest)
    assert [link for link in links if not link.startswith("https://github.com/leandata-example/leandata/")] == []
    assert not re.search(r"https?://(?!github\.com/leandata-example/)", rest)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f]", rest)
    assert "$(curl" not in rest
    assert len(said) <= 60_000


@pytest.mark.parametrize("case", [pytest.param(make, id=name) for name, make in REFUSED.items()])
def test_what_is_not_a_preview_of_this_commit_is_refused(case: Callable[[], bytes]):
    store = posted(case())
    said = comment(store)
    assert "### Preview prod at aaaaaaaaaa · FAILED" in said
    assert "**create" not in said
    assert store.labels == {12: ["preview:failed"]}
    assert [one["state"] for one in store.statuses] == ["error"]
    nothing_is_obeyed(said)


@pytest.mark.parametrize("case", [pytest.param(make, id=name) for name, make in SHOWN.items()])
def test_what_a_preview_says_is_shown_and_never_obeyed(case: Callable[[], bytes]):
    said = comment(posted(case()))
    assert said.startswith("<!-- preview:prod -->\n### Preview prod at aaaaaaaaaa")
    assert "nothing of it is shown" not in said
    nothing_is_obeyed(said)


def test_there_are_more_than_thirty_hostile_artifacts():
    print(f"{len(REFUSED)} refused, {len(SHOWN)} shown as text")
    assert len(REFUSED) + len(SHOWN) >= 40


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refusal_says_nothing_in_the_words_of_the_artifact(name: str):
    with pytest.raises(RefusedError) as raised:
        preview(preview_file(REFUSED[name]()), environment="prod", commit=COMMIT)
    assert re.fullmatch(r"[A-Za-z0-9_ ./,'-]+", str(raised.value))


@pytest.mark.parametrize(
    "found", [changing(), unchanged(), changing(failure="it failed")], ids=["changing", "same", "failed"]
)
def test_a_good_preview_is_read_as_it_was_written(found: Any):
    read = preview(preview_file(zipped(found)), environment="prod", commit=COMMIT)
    assert text(read) == text(found)
