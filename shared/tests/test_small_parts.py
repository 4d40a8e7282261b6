"""Errors, mail, compute, logs: small parts that everybody uses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from leandata import compute
from leandata.errors import ComputeError, LeandataError, MailError
from leandata.mail import Message, compose, send
from leandata.settings import MailAddress


def test_an_error_is_one_line_with_what_where_and_what_to_do() -> None:
    error = LeandataError("bucket raw would be replaced", where="lake", hint="Run make deploy DRY=yes")
    assert str(error) == "bucket raw would be replaced (lake). Run make deploy DRY=yes"
    assert str(LeandataError("no")) == "no"


def test_a_mail_has_text_html_and_inline_images() -> None:
    message = Message(
        subject="S", to=["a@x.example", "b@x.example"], text="t", html='<img src="cid:c">', images={"c": b"png"}
    )
    mail = compose(message, sender="p@x.example")
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    assert mail["To"] == "a@x.example, b@x.example"
    assert "<c>" in mail.as_string()


def test_a_mail_without_html_is_text_alone() -> None:
    mail = compose(Message(subject="S", to=["a@x.example"], text="t"), sender="p@x.example", message_id="<1@x>")
    assert mail.get_content_type() == "text/plain"
    assert mail["Message-ID"] == "<1@x>"


def test_a_subject_cannot_smuggle_in_a_header() -> None:
    with pytest.raises(ValueError, match=r"newline|linefeed"):
        compose(Message(subject="S\nBcc: evil@x.example", to=["a@x.example"], text="t"), sender="p@x.example")


def test_a_mail_server_that_is_not_there_is_named() -> None:
    address = MailAddress(host="127.0.0.1", port=9, sender="p@x.example")
    with pytest.raises(MailError, match=r"was not taken: .*\(127.0.0.1:9\)"):
        send(address, Message(subject="S", to=["a@x.example"], text="t"))


def test_compute_in_this_process_keeps_the_order() -> None:
    assert compute.InProcess().map(lambda item: item * 2, [3, 1, 2]) == [6, 2, 4]


def test_a_cluster_without_an_address_is_refused_rather_than_started() -> None:
    with pytest.raises(ComputeError, match="no Dask scheduler was named"), compute.connect(""):
        pass


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    with (
        pytest.raises(ComputeError, match=r"does not answer.*tcp://127.0.0.1:9"),
        compute.connect("tcp://127.0.0.1:9", timeout=1),
    ):
        pass


def test_a_task_is_found_by_its_name() -> None:
    assert compute.function("json:dumps") is json.dumps


@pytest.mark.parametrize("name", ["nowhere:x", "json:nothing", "json"])
def test_a_task_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ComputeError, match="there is no task"):
        compute.function(name)


def test_a_log_is_one_json_line_an_event_with_sorted_keys() -> None:
    code = (
        "import logging; from leandata.logs import configure; configure('api');"
        "logging.getLogger('x').info('hello %s', 'you'); import structlog; structlog.get_logger().warning('b', a=1)"
    )
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["hello you", "b"]
    assert all(event["service"] == "api" for event in events)
    assert list(events[1]) == sorted(events[1])


def test_settings_start_quickly_because_they_load_nothing_heavy() -> None:
    code = "import sys, leandata.settings; print([m for m in ('pyarrow', 'snowflake.connector', 'pandas', 'psycopg') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def versions(client: dict[str, str | None], scheduler: dict[str, str | None], *workers: dict[str, str | None]) -> Any:
    sides = {str(number): {"packages": worker} for number, worker in enumerate(workers)}
    return {"client": {"packages": client}, "scheduler": {"packages": scheduler}, "workers": sides}


def test_a_package_that_an_image_lacks_is_no_difference_between_client_and_dask_cluster() -> None:
    lean: dict[str, str | None] = {"distributed": "2026.8.0", "numpy": None}
    assert (
        compute.differing(versions({"distributed": "2026.8.0", "numpy": "2.4.6", "pandas": "3.1.1"}, lean, lean)) == []
    )


def test_every_package_of_another_version_is_told_whoever_has_it() -> None:
    client: dict[str, str | None] = {"distributed": "2026.8.0", "python": "3.11.2"}
    old: dict[str, str | None] = {"distributed": "2026.7.0", "python": "3.11.2"}
    newer: dict[str, str | None] = {"distributed": "2026.8.0", "python": "3.12.1"}
    assert compute.differing(versions(client, client, old)) == ["distributed: 2026.7.0, 2026.8.0"]
    assert compute.differing(versions(client, newer, client)) == ["python: 3.11.2, 3.12.1"]
