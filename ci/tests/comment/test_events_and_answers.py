"""What GitHub sends, events and answers: what is taken, and one clear line for everything else."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.comment.approvals import teams_of
from ci.comment.event import read
from ci.comment.github import GitHub
from ci.owners.teams import Teams
from ci.tests.comment.fake_github import COMMIT, NAME, TOKEN, event
from infra.environment import ROOT
from leandata.errors import LeandataError

FORBIDDEN = "The token has not the right: see `permissions` of the job"
LATER = "Try again later"
Answer = tuple[int, bytes, dict[str, str]]


@contextmanager
def answering(*answers: Answer) -> Generator[tuple[GitHub, list[tuple[str, str, bytes, dict[str, str]]]]]:
    """A client of a server that gives these answers in turn, and the calls that it got."""
    left = list(answers)
    calls: list[tuple[str, str, bytes, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            calls.append((self.command, self.path, sent, {name.lower(): said for name, said in self.headers.items()}))
            code, data, headers = left.pop(0)
            self.send_response(code)
            for name, said in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, said.replace("HERE", f"http://127.0.0.1:{server.server_port}"))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield GitHub(api=f"http://127.0.0.1:{server.server_port}", repository=NAME, token=TOKEN), calls
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(found: Any, *, link: str = "") -> Answer:
    return 200, json.dumps(found).encode(), {"Link": link} if link else {}


def refused(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "event.json").write_bytes(data)
    with pytest.raises(LeandataError) as raised:
        read(tmp_path / "event.json")
    assert raised.value.where == str(tmp_path / "event.json")
    assert "\n" not in str(raised.value)
    return raised.value.what


def of_run(**more: Any) -> bytes:
    return json.dumps(event(**more)).encode()


@pytest.mark.parametrize("action", ["requested", "in_progress", "completed"])
@pytest.mark.parametrize(
    "more",
    [{}, {"head_branch": None}, {"head_repository": None}, {"conclusion": None}, {"head_branch": "a/b ü\u202e"}],
    ids=["whole", "no branch", "a fork that is gone", "not ended", "a strange branch"],
)
def test_an_event_is_read_with_what_may_be_missing(action: str, more: dict[str, Any], tmp_path: Path):
    (tmp_path / "event.json").write_bytes(of_run(action=action, **more))
    found = read(tmp_path / "event.json")
    assert (found.action, found.workflow_run.head_sha, found.repository.full_name) == (action, COMMIT, NAME)
    for name in set(more) - {"head_repository"}:
        assert getattr(found.workflow_run, name) == more[name]


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"commit": "a" * 39}, "workflow_run.head_sha"),
        ({"commit": f"{'a' * 40}\n"}, "workflow_run.head_sha"),
        ({"commit": "../../pulls/1"}, "workflow_run.head_sha"),
        ({"head_branch": "x" * 301}, "workflow_run.head_branch"),
        ({"head_branch": 7}, "workflow_run.head_branch"),
        ({"id": "7"}, "workflow_run.id"),
        ({"event": None}, "workflow_run.event"),
        ({"path": ["x"]}, "workflow_run.path"),
        ({"conclusion": False}, "workflow_run.conclusion"),
        ({"head_repository": {"id": 1}}, "workflow_run.head_repository.owner"),
        ({"head_repository": {"id": 1, "owner": {"login": "a:b"}}}, "workflow_run.head_repository.owner.login"),
        ({"head_repository": {"id": 1, "owner": {"login": "a&b"}}}, "workflow_run.head_repository.owner.login"),
        ({"action": "deleted"}, "action"),
    ],
    ids=lambda found: found if isinstance(found, str) else repr(found)[:40],
)
def test_a_part_of_an_event_that_cannot_be_is_named(more: dict[str, Any], place: str, tmp_path: Path):
    assert refused(tmp_path, of_run(**more)).startswith(f"not the event of a workflow's run: {place}: ")


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "../x/y", "a/b?x=1", "a/b#c", "a/ b", "", "/", "a/" + "b" * 200], ids=lambda name: name[:9]
)
def test_a_repository_that_has_no_such_name_is_refused(name: str, tmp_path: Path):
    whole = {**event(), "repository": {"id": 1, "full_name": name}}
    said = refused(tmp_path, json.dumps(whole).encode())
    assert said.startswith("not the event of a workflow's run: repository.full_name: ")


@pytest.mark.parametrize("key", ["action", "repository", "workflow_run"])
def test_an_event_that_lacks_a_part_is_refused(key: str, tmp_path: Path):
    whole = {name: value for name, value in event().items() if name != key}
    assert refused(tmp_path, json.dumps(whole).encode()) == f"not the event of a workflow's run: {key}: Field required"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 200_000], ids=["empty", "half", "no UTF-8", "deep"])
def test_what_is_no_json_is_no_event(data: bytes, tmp_path: Path):
    assert refused(tmp_path, data) == "not the event of a workflow's run: no JSON"


@pytest.mark.parametrize("data", [b"[]", b"7", b'"x"', b"null"])
def test_json_that_is_no_object_is_no_event(data: bytes, tmp_path: Path):
    assert refused(tmp_path, data).startswith("not the event of a workflow's run: the whole: ")


def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path: Path):
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(LeandataError) as raised:
            read(place)
        assert raised.value.what == "there is no event"
        assert raised.value.hint == "EVENT names a file with the event `workflow_run`"


@pytest.mark.parametrize(("spaces", "taken"), [(5_000_000, True), (5_000_001, False)])
def test_an_event_of_five_million_bytes_is_read_and_one_more_is_refused(spaces: int, taken: bool, tmp_path: Path):
    data = of_run().ljust(spaces)
    if taken:
        (tmp_path / "event.json").write_bytes(data)
        assert read(tmp_path / "event.json").workflow_run.id == 7
    else:
        assert refused(tmp_path, data) == "the event is too large to be one"


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (400, ""),
        (401, FORBIDDEN),
        (403, FORBIDDEN),
        (404, ""),
        (422, ""),
        (429, LATER),
        (500, LATER),
        (503, LATER),
    ],
)
def test_an_answer_that_is_no_success_says_its_code_and_what_to_do(code: int, hint: str):
    with answering((code, b'{"message": "secret text"}', {})) as (client, _), pytest.raises(LeandataError) as raised:
        client.send("POST", "issues", {"title": "x"})
    found = raised.value
    assert (found.what, found.where, found.hint) == (f"GitHub answers {code}", f"POST /repos/{NAME}/issues", hint)


@pytest.mark.parametrize("data", [b"<html>", b"{", b"\xff", b"[" * 100_000], ids=["HTML", "half", "no UTF-8", "deep"])
def test_an_answer_that_is_no_json_is_told(data: bytes):
    with answering((200, data, {})) as (client, _), pytest.raises(LeandataError) as raised:
        client.get("pulls")
    assert str(raised.value) == f"GitHub answers with no JSON (/repos/{NAME}/pulls)"


@pytest.mark.parametrize("answer", [{"message": "x"}, None, "x", 7])
def test_pages_that_are_no_lists_are_told(answer: Any):
    with answering(page(answer)) as (client, _), pytest.raises(LeandataError, match=r"answers with no list \(pulls\)"):
        list(client.pages("pulls"))


@pytest.mark.parametrize("answer", [{"runs": None}, {"other": []}, {"runs": {}}])
def test_a_list_inside_of_an_answer_has_to_be_there(answer: Any):
    with answering(page(answer)) as (client, _), pytest.raises(LeandataError, match="answers with no list"):
        list(client.pages("actions/runs", inside="runs"))


def test_pages_are_followed_until_there_is_no_next_one():
    first = '<HERE/one>; rel="first", <HERE/two?page=2>; rel="next"'
    with answering(page([1, 2], link=first), page([3], link='<HERE/one>; rel="prev"')) as (client, calls):
        assert list(client.pages("pulls", state="open")) == [1, 2, 3]
    assert [path for _, path, _, _ in calls] == [f"/repos/{NAME}/pulls?per_page=100&state=open", "/two?page=2"]


@pytest.mark.parametrize("link", ['<HERE/x>; rel="last"', '<HERE/x>; rel="nextish"', "garbage", '<>; rel="next"'])
def test_what_is_no_next_page_is_not_followed(link: str):
    with answering(page([1], link=link)) as (client, calls):
        assert list(client.pages("pulls")) == [1]
    assert len(calls) == 1


@pytest.mark.parametrize(
    "link",
    ["http://127.0.0.1:1/x", "https://evil.example/x", "//evil.example/x", "ftp://127.0.0.1/x", "/relative"],
)
def test_a_next_page_elsewhere_gets_no_token(link: str):
    with answering(page([1], link=f'<{link}>; rel="next"')) as (client, calls):
        found = client.pages("pulls")
        assert next(found) == 1
        with pytest.raises(LeandataError, match="GitHub's next page lies on another host"):
            next(found)
    assert len(calls) == 1


def test_a_list_that_never_ends_is_given_up():
    endless = page([], link='<HERE/again>; rel="next"')
    with answering(*[endless] * 300) as (client, calls), pytest.raises(LeandataError, match=r"more than 300 pages"):
        list(client.pages("pulls"))
    assert len(calls) == 300


def test_a_change_is_sent_as_json_with_the_token_and_its_answer_comes_back():
    with answering((201, b'{"id": 7}', {})) as (client, calls):
        assert client.send("PATCH", "issues/1", {"body": "ü"}) == {"id": 7}
    ((method, path, sent, headers),) = calls
    assert (method, path, json.loads(sent)) == ("PATCH", f"/repos/{NAME}/issues/1", {"body": "ü"})
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == f"Bearer {TOKEN}"


def test_a_change_without_a_body_sends_none_and_an_empty_answer_is_none():
    with answering((204, b"", {})) as (client, calls):
        assert client.send("DELETE", "issues/1/labels/x") is None
    assert calls[0][2] == b""
    assert "content-type" not in calls[0][3]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text(max_size=10), max_size=3))
@settings(max_examples=15)
def test_whatever_is_asked_for_stays_one_query(query: dict[str, str]):
    from urllib.parse import parse_qs, urlsplit

    with answering(page({})) as (client, calls):
        client.get("pulls", **query)
    split = urlsplit(calls[0][1])
    assert split.path == f"/repos/{NAME}/pulls"
    assert parse_qs(split.query, keep_blank_values=True) == {key: [said] for key, said in query.items()}


@pytest.mark.parametrize(("size", "taken"), [(100, True), (101, False)])
def test_a_download_has_at_most_so_many_bytes(size: int, taken: bool):
    with answering((200, b"x" * size, {})) as (client, _):
        if taken:
            assert client.download("x", at_most=100) == b"x" * 100
        else:
            with pytest.raises(LeandataError, match=r"more than 100 bytes \(GET /repos/.*/x\)"):
                client.download("x", at_most=100)


def test_a_download_that_leads_to_where_nobody_answers_is_told():
    elsewhere = (302, b"", {"Location": "http://127.0.0.1:9/gone"})
    with answering(elsewhere) as (client, _), pytest.raises(LeandataError, match="GitHub cannot be reached: URLError"):
        client.download("x", at_most=100)


@pytest.mark.parametrize(
    ("environ", "api"),
    [
        ({}, "https://api.github.com"),
        ({"GITHUB_API_URL": ""}, "https://api.github.com"),
        ({"GITHUB_API_URL": "https://github.example/api/v3"}, "https://github.example/api/v3"),
    ],
    ids=["unset", "empty", "a server of one's own"],
)
def test_the_api_is_githubs_own_unless_another_is_named(environ: dict[str, str], api: str):
    assert GitHub.of(NAME, {"GITHUB_TOKEN": TOKEN, **environ}) == GitHub(api=api, repository=NAME, token=TOKEN)


@pytest.mark.parametrize("environ", [{}, {"GITHUB_TOKEN": ""}], ids=["unset", "empty"])
def test_without_a_token_nothing_is_asked(environ: dict[str, str]):
    with pytest.raises(LeandataError) as raised:
        GitHub.of(NAME, environ)
    assert str(raised.value) == "no token for GitHub. Export GITHUB_TOKEN; in a workflow it is github.token"


@pytest.mark.parametrize(
    ("logins", "teams"),
    [
        ([], []),
        (["stranger", ""], []),
        (["leandata-guard"], ["security-team"]),
        (["leandata-operator", "leandata-analyst"], ["analytics-team", "platform-team"]),
    ],
    ids=["nobody", "strangers", "one", "two"],
)
def test_people_stand_for_the_teams_that_they_are_in(logins: list[str], teams: list[str]):
    assert teams_of(logins, Teams.load(ROOT)) == teams
