"""The look after a deployment, decision by decision: what is asked, how long, and what is told of what answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci import cli
from ci.smoke import Page, ask, pages, problem_of, wrong
from infra.components.manifest import ServiceManifest
from infra.environment import ROOT, Environment

GOOD = (200, 204, 301, 302, 303, 307, 308, 401, 403)
PAGE = Page(process="x", url="http://127.0.0.1/x")
API = ServiceManifest.load("api", root=ROOT)


class Asked:
    """Answers in turn: a code, or an error that is raised; the last again and again. `urls` are those asked."""

    def __init__(self, *answers: int | Exception) -> None:
        self.left = list(answers)
        self.urls: list[str] = []

    def __call__(self, url: str) -> int:
        self.urls.append(url)
        found = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(found, Exception):
            raise found
        return found


@contextmanager
def speaking(data: bytes) -> Generator[int]:
    """The port of a server that says these bytes to everybody and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        held.settimeout(0.05)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    found, _ = held.accept()
                except TimeoutError:
                    continue
                with found:
                    found.settimeout(5)
                    found.recv(10_000)
                    found.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield held.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def environment(name: str) -> Environment:
    return Environment.load(name, environ={"LEANDATA_PORT_BASE": "17400"} if name == "local" else {}, root=ROOT)


def service(*, open_to: str = "people", **process: Any) -> ServiceManifest:
    """The service `api` with one process that differs, open to somebody else."""
    one = API.process[0].model_copy(update=process)
    network = API.network.model_copy(update={"open_to": open_to})
    return API.model_copy(update={"process": [one], "network": network})


def urls(name: str, *services: ServiceManifest) -> list[str]:
    return [page.url for page in pages(environment(name), services)]


@given(st.integers(100, 599))
def test_a_code_is_well_or_is_told_as_it_is(code: int):
    said = wrong(PAGE, Asked(code), patience=0)
    assert said == ("" if code in GOOD else f"answers {code}")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(), "cannot be reached (ConnectionRefusedError)"),
        (TimeoutError("slow"), "cannot be reached (TimeoutError)"),
        (OSError("bad line"), "cannot be reached (OSError)"),
    ],
    ids=["refused", "slow", "another"],
)
def test_who_does_not_answer_is_told_by_the_kind_of_error(error: OSError, said: str):
    assert wrong(PAGE, Asked(error), patience=0) == said


def test_an_error_of_ours_is_not_taken_for_a_page_that_is_not_well():
    with pytest.raises(ZeroDivisionError):
        wrong(PAGE, Asked(ZeroDivisionError()), patience=0)


@pytest.mark.parametrize("first", [200, 503], ids=["well", "not well"])
def test_without_patience_a_page_is_asked_just_once(first: int):
    asked = Asked(first, 200)
    assert bool(wrong(PAGE, asked, patience=0)) == (first == 503)
    assert asked.urls == [PAGE.url]


@given(st.lists(st.sampled_from([500, 404, 503, OSError("x"), TimeoutError()]), max_size=8), st.sampled_from(GOOD))
def test_with_patience_a_page_is_asked_until_it_is_well_and_no_more(before: list[Any], good: int):
    asked = Asked(*before, good)
    assert wrong(PAGE, asked, patience=60, pause=0) == ""
    assert len(asked.urls) == len(before) + 1


def test_what_is_told_is_what_was_seen_last():
    asked = Asked(TimeoutError(), 404, 500)
    assert wrong(PAGE, asked, patience=0.05, pause=0.001) == "answers 500"
    assert len(asked.urls) > 3


@pytest.mark.parametrize(
    ("process", "end"),
    [
        ({"ready": "/r", "health": "/h"}, ["/r"]),
        ({"ready": "", "health": "/h"}, ["/h"]),
        ({"ready": "/r", "health": ""}, ["/r"]),
        ({"ready": "", "health": "tcp"}, []),
        ({"ready": "", "health": ""}, []),
        ({"only_on": "kubernetes"}, []),
    ],
    ids=["ready before health", "health alone", "ready alone", "a port alone", "nothing", "one substrate only"],
)
@pytest.mark.parametrize("name", ["local", "prod"])
def test_a_process_is_asked_by_the_path_that_says_most(name: str, process: dict[str, str], end: list[str]):
    base = "http://127.0.0.1:17402" if name == "local" else "https://api.leandata.example"
    assert urls(name, service(**process)) == [f"{base}{path}" for path in end]


@pytest.mark.parametrize(("open_to", "asked"), [("people", 1), ("programs", 1), ("nobody", 0)])
def test_in_the_cloud_only_what_is_open_can_be_asked_and_on_one_machine_all(open_to: Any, asked: int):
    assert len(urls("prod", service(open_to=open_to))) == asked
    assert len(urls("local", service(open_to=open_to))) == 1


@pytest.mark.parametrize(("name", "domain"), [("dev", "dev.leandata.example"), ("prod", "leandata.example")])
def test_each_environment_has_its_own_addresses(name: str, domain: str):
    assert urls(name, API) == [f"https://api.{domain}/readyz"]


def test_pages_are_sorted_by_process_whatever_the_order_of_services():
    services = [ServiceManifest.load(one, root=ROOT) for one in ("dash", "api", "airflow")]
    there = [page.process for page in pages(environment("prod"), services)]
    back = [page.process for page in pages(environment("prod"), services[::-1])]
    assert there == back == sorted(there)


def test_a_service_whose_pages_nobody_can_ask_from_here_has_no_problem():
    assert problem_of(environment("cluster"), "api") == ""


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"HTTP/1.1 200 OK", 200), (b"HTTP/1.0 404 Not Found", 404), (b"HTTP/1.1 503 x", 503), (b"HTTP/1.1 302 x", 302)],
    ids=["well", "not there", "not ready", "elsewhere"],
)
def test_a_status_is_taken_as_it_is_and_nothing_is_followed(line: bytes, code: int):
    said = line + b"\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with speaking(said) as port:
        assert ask(f"http://127.0.0.1:{port}/") == code


@pytest.mark.parametrize("data", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n"], ids=["nothing", "SSH", "no code"])
def test_what_does_not_speak_http_cannot_be_reached(data: bytes):
    with speaking(data) as port:
        assert wrong(Page(process="x", url=f"http://127.0.0.1:{port}/"), ask, patience=0).startswith(
            "cannot be reached ("
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--env", "prod", "--service", "nobody"],
            "error: no service 'nobody'. SERVICE is one of: airflow, api, dash, dask\n",
        ),
        (["--env", "prod", "--patience", "-1"], "error: '-1' is no number of seconds. PATIENCE=120\n"),
        (["--env", "prod", "--patience", "1.5"], "error: '1.5' is no number of seconds. PATIENCE=120\n"),
        (["--env", "prod", "--patience", ""], "error: '' is no number of seconds. PATIENCE=120\n"),
    ],
    ids=["service", "negative", "fraction", "empty"],
)
def test_what_cannot_be_looked_at_is_told_in_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert cli.run(["smoke", *words]) == 1
    assert capsys.readouterr().err == said
