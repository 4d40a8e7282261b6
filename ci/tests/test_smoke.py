"""The look after a deployment: which pages are asked, and what counts as well."""

from __future__ import annotations

import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from ci import cli
from ci.smoke import Page, ask, pages, wrong
from infra.components.manifest import ServiceManifest
from infra.environment import ROOT, Environment

SERVICES = [ServiceManifest.load(name) for name in ("airflow", "api", "dash", "dask")]


class Handler(BaseHTTPRequestHandler):
    """Answers with the code that its path names; `/slow` is unwell once."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        code = 503 if self.path == "/slow" and self.asked.count("/slow") < 2 else 200
        self.send_response(int(self.path[1:]) if self.path[1:].isdecimal() else code)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture(name="server", scope="module")
def _server() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def environment(name: str) -> Environment:
    return Environment.load(name, environ={"LEANDATA_PORT_BASE": "17400"} if name == "local" else {}, root=ROOT)


def test_in_the_cloud_the_addresses_of_people_and_programs_are_asked():
    urls = {page.process: page.url for page in pages(environment("prod"), SERVICES)}
    assert urls["api"] == "https://api.leandata.example/readyz"
    assert urls["dash"] == "https://dash.leandata.example/healthz"
    assert "dask-scheduler" not in urls


def test_on_one_machine_the_ports_are_asked():
    urls = {page.process: page.url for page in pages(environment("local"), SERVICES)}
    assert urls["api"] == f"http://127.0.0.1:{environment('local').port('api')}/readyz"


def test_a_cluster_without_addresses_has_no_page_whatever_environment_was_looked_at_before(capsys: Any):
    assert pages(environment("cluster"), SERVICES) == []
    Environment.current()
    assert cli.run(["smoke", "--env", "cluster"]) == 1
    assert capsys.readouterr().err == "error: there is no page that could be asked from here (cluster)\n"


@pytest.mark.parametrize(
    ("code", "said"), [(200, ""), (302, ""), (401, ""), (404, "answers 404"), (500, "answers 500")]
)
def test_what_a_page_answers_is_judged(code: int, said: str, server: str):
    assert wrong(Page(process="x", url=f"{server}/{code}"), ask, patience=0) == said


def test_a_page_that_is_well_a_little_later_is_well(server: str):
    assert wrong(Page(process="x", url=f"{server}/slow"), ask, patience=30, pause=0) == ""


def test_nobody_there_is_told():
    assert wrong(Page(process="x", url="http://127.0.0.1:9/"), ask, patience=0).startswith("cannot be reached")


@pytest.mark.parametrize("words", [["--service", "nobody"], ["--patience", "soon"]])
def test_what_cannot_be_asked_for_is_one_clear_line(words: list[str], capsys: Any):
    assert cli.run(["smoke", "--env", "prod", *words]) == 1
    assert capsys.readouterr().err.startswith("error: ")
