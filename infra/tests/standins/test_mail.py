"""The mail catcher keeps what it is sent and shows it safely."""

from __future__ import annotations

import json
import smtplib
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from infra.standins.mail import pages, smtp
from infra.testing import parts
from leandata.mail import Message, send
from leandata.settings import MailAddress


def test_a_mail_is_kept_whole_under_a_name_that_sorts_by_arrival(tmp_path: Path) -> None:
    first, second = smtp.store(tmp_path, b"one"), smtp.store(tmp_path, b"two")
    assert first.name < second.name
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".eml", ".eml"]


def test_dots_that_transport_doubled_are_single_again() -> None:
    assert smtp.unstuffed([b"a\r\n", b"..b\r\n", b".\r\n"]) == b"a\r\n.b\r\n\r\n"


@pytest.mark.parametrize(
    "path", ["/nothing", "/mail/../../etc/passwd", "/mail/x", "/mail/", "/mail/00000000000000000000-00000000"]
)
def test_a_page_that_is_not_there_is_404(tmp_path: Path, path: str) -> None:
    assert pages.answer(tmp_path, path).status == 404


def test_an_empty_catcher_says_so(tmp_path: Path) -> None:
    assert b"No mail yet." in pages.answer(tmp_path, "/").body
    assert json.loads(pages.answer(tmp_path, "/messages.json").body) == {"version": 1, "messages": []}
    assert pages.answer(tmp_path, "/healthz").body == b"ok"


@pytest.mark.integration
def test_a_mail_arrives_with_its_images_and_is_shown(mail_server: parts.MailCatcher) -> None:
    address = MailAddress(host="127.0.0.1", port=mail_server.smtp_port, sender="p@x.example")
    html = '<p onclick="x()">Grüße</p><img src="cid:c"><script>alert(1)</script>'
    text = "first\n.\n..two dots\nFrom here on\nlast"
    message_id = send(
        address, Message(subject="A <b>subject", to=["a@x.example"], text=text, html=html, images={"c": b"\x89PNG"})
    )
    base = f"http://127.0.0.1:{mail_server.http_port}"
    listed = json.load(urllib.request.urlopen(f"{base}/messages.json"))["messages"]
    found = next(mail for mail in listed if mail["message-id"] == message_id)
    assert (found["subject"], found["to"]) == ("A <b>subject", "a@x.example")
    with urllib.request.urlopen(f"{base}/mail/{found['name']}") as answer:
        page = answer.read().decode()
        assert "script" not in answer.headers["Content-Security-Policy"]
    assert "A &lt;b&gt;subject" in page
    assert "first\n.\n..two dots\nFrom here on\nlast" in page
    assert "<iframe sandbox" in page
    shown = urllib.request.urlopen(f"{base}/mail/{found['name']}/html").read().decode()
    assert "Grüße" in shown
    assert "data:image/png;base64,iVBORw" in shown or "data:image/png;base64,iVBO" in shown
    raw = urllib.request.urlopen(f"{base}/mail/{found['name']}/raw").read()
    assert pages.parse(raw)["Message-ID"] == message_id


@pytest.mark.integration
def test_the_catcher_keeps_to_the_protocol(mail_server: parts.MailCatcher) -> None:
    with smtplib.SMTP("127.0.0.1", mail_server.smtp_port) as client:
        assert client.noop()[0] == 250
        assert client.rset()[0] == 250
        assert client.docmd("DATA")[0] == 503
        assert client.docmd("RCPT", "TO:<a@x>")[0] == 503
        assert client.docmd("NONSENSE")[0] == 502
        assert client.helo()[0] == 250


@pytest.mark.integration
def test_a_mail_that_is_too_large_is_refused_and_not_kept(mail_server: parts.MailCatcher) -> None:
    before = len(list(mail_server.folder.glob("*.eml")))
    with smtplib.SMTP("127.0.0.1", mail_server.smtp_port) as client:
        client.helo()
        client.mail("a@x")
        client.rcpt("b@x")
        with pytest.raises(smtplib.SMTPDataError, match="too large"):
            raise smtplib.SMTPDataError(*client.data((b"x" * 76 + b"\r\n") * (smtp.LARGEST_MAIL // 78 + 2)))
    assert len(list(mail_server.folder.glob("*.eml"))) == before


@pytest.mark.integration
def test_a_client_that_leaves_in_the_middle_leaves_nothing(mail_server: parts.MailCatcher) -> None:
    before = len(list(mail_server.folder.glob("*.eml")))
    with socket.create_connection(("127.0.0.1", mail_server.smtp_port)) as client:
        client.recv(100)
        client.sendall(b"HELO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nhalf a ma")
    assert len(list(mail_server.folder.glob("*.eml"))) == before
    with smtplib.SMTP("127.0.0.1", mail_server.smtp_port) as client:
        assert client.noop()[0] == 250
