"""The mail catcher with every kind of mail and of client: nothing breaks it, nothing in a mail runs."""

from __future__ import annotations

import asyncio
import json
import smtplib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.standins.mail import pages, smtp

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def mail(subject: str = "Hello", text: str = "text", html: str = "", **headers: str) -> EmailMessage:
    found = EmailMessage()
    found["Subject"], found["From"], found["To"] = subject, "a@x.example", "b@x.example"
    for name, value in headers.items():
        found[name.replace("_", "-")] = value
    found.set_content(text)
    if html:
        found.add_alternative(html, subtype="html")
        found.get_payload()[1].add_related(PNG, "image", "png", cid="<chart>")  # type: ignore[index, union-attr]
    return found


def keep(folder: Path, data: bytes | EmailMessage) -> str:
    return smtp.store(folder, data if isinstance(data, bytes) else data.as_bytes(policy=policy.SMTP)).stem


def body(folder: Path, path: str) -> str:
    return pages.answer(folder, path).body.decode()


def test_before_the_first_mail_the_page_says_so(tmp_path: Path) -> None:
    assert "No mail yet." in body(tmp_path, "/")
    assert json.loads(body(tmp_path, "/messages.json")) == {"version": 1, "messages": []}


def test_mails_are_listed_newest_first(tmp_path: Path) -> None:
    names = [keep(tmp_path, mail(f"mail {number}")) for number in range(5)]
    listing = json.loads(body(tmp_path, "/messages.json"))["messages"]
    assert [entry["name"] for entry in listing] == sorted(names, reverse=True)
    assert listing[0]["subject"] == "mail 4"
    page = body(tmp_path, "/")
    assert page.index("mail 4") < page.index("mail 0")


def test_a_mail_is_shown_with_both_parts_and_its_images_inside(tmp_path: Path) -> None:
    name = keep(tmp_path, mail(text="plain <b>", html='<p>page</p><img src="cid:chart">'))
    assert "plain &lt;b&gt;" in body(tmp_path, f"/mail/{name}")
    assert f'src="/mail/{name}/html"' in body(tmp_path, f"/mail/{name}")
    assert "data:image/png;base64," in body(tmp_path, f"/mail/{name}/html")
    assert "cid:chart" not in body(tmp_path, f"/mail/{name}/html")


def test_a_mail_shows_when_it_was_sent_where_it_says_so(tmp_path: Path) -> None:
    dated = keep(tmp_path, mail(Date="Tue, 24 Nov 2026 12:54:00 +0000"))
    undated = keep(tmp_path, mail())
    assert "<td>Tue, 24 Nov 2026 12:54:00 +0000</td>" in body(tmp_path, f"/mail/{dated}")
    assert "<td>Tue, 24 Nov 2026 12:54:00 +0000</td>" in body(tmp_path, "/")
    assert "<th>Date</th>" not in body(tmp_path, f"/mail/{undated}")
    assert "<td>None</td>" not in body(tmp_path, "/")


def test_a_mail_as_it_came_is_the_same_bytes(tmp_path: Path) -> None:
    data = mail("ü €", text="line\n.dot\n\nend").as_bytes(policy=policy.SMTP)
    name = keep(tmp_path, data)
    found = pages.answer(tmp_path, f"/mail/{name}/raw")
    assert (found.kind, found.body) == ("message/rfc822", data)


def test_a_mail_without_html_has_no_frame_and_says_so(tmp_path: Path) -> None:
    name = keep(tmp_path, mail())
    assert "<iframe" not in body(tmp_path, f"/mail/{name}")
    assert "no HTML part" in body(tmp_path, f"/mail/{name}/html")


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x>', "</title><b>", "{body}", "%s {0}"])
def test_nothing_in_a_header_or_a_text_becomes_part_of_the_page(tmp_path: Path, evil: str) -> None:
    name = keep(tmp_path, mail(evil, text=evil))
    for page in (body(tmp_path, "/"), body(tmp_path, f"/mail/{name}")):
        assert "<script>" not in page
        assert "<img src=x>" not in page
        assert "</title><b>" not in page


@pytest.mark.parametrize(
    "path",
    [
        "/mail", "/mail/", "/mail/x", "/mail/../../etc/passwd", "/mail/%2e%2e/x", "/nothing", "//", "/mail/" + "0" * 29,
        "/mail/00000000000000000000-00000000", "/mail/00000000000000000000-00000000/raw", "/messages.json/", "",
    ],
)  # fmt: skip
def test_a_page_that_is_none_is_404(tmp_path: Path, path: str) -> None:
    assert pages.answer(tmp_path, path).status == 404


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"no headers at all",
        b"Subject: =?x-unknown?q?abc?=\r\n\r\ntext",
        b"Content-Type: text/plain; charset=x-unknown\r\n\r\n\xff\xfe",
        b"Content-Type: text/html; charset=x-unknown\r\n\r\n<p>\xff</p>",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhalf",
        b"Content-Type: image/png\r\nContent-ID: <c>\r\n\r\nnot base64",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Subject: \xff\xfe\r\nTo: \xc3\x28\r\n\r\ntext",
        b"From: a@b\r\n" * 200 + b"\r\n",
    ],
    ids=lambda found: str(found[:40]),
)
def test_a_mail_that_is_hardly_one_is_shown_all_the_same(tmp_path: Path, data: bytes) -> None:
    name = keep(tmp_path, data)
    for path in ("/", "/messages.json", f"/mail/{name}", f"/mail/{name}/html", f"/mail/{name}/raw"):
        assert pages.answer(tmp_path, path).status == 200


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.binary(max_size=400))
def test_no_bytes_at_all_break_the_pages(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    name = keep(folder, b"Content-Type: text/html\r\n" + data)
    for path in ("/", "/messages.json", f"/mail/{name}", f"/mail/{name}/html"):
        assert pages.answer(folder, path).status == 200


def test_a_mail_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    keep(tmp_path, mail())
    assert [path.suffix for path in tmp_path.iterdir()] == [".eml"]


@pytest.mark.parametrize(
    ("lines", "data"),
    [
        ([], b""),
        ([b"a\r\n"], b"a\r\n"),
        ([b"..a\r\n"], b".a\r\n"),
        ([b"..\r\n"], b".\r\n"),
        ([b"a..\r\n", b"...\r\n"], b"a..\r\n..\r\n"),
    ],
)
def test_dots_that_transport_doubled_are_taken_away(lines: list[bytes], data: bytes) -> None:
    assert smtp.unstuffed(lines) == data


# -- the conversation --------------------------------------------------------------------------------------------------


async def with_server(folder: Path, talk: Callable[[int], Awaitable[Any]]) -> Any:
    server = await smtp.serve(0, folder=folder)
    async with server:
        return await talk(server.sockets[0].getsockname()[1])


def converse(folder: Path, *sent: bytes) -> list[str]:
    """What the server says to these lines, its greeting first."""

    async def talk(port: int) -> list[str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = [(await reader.readline()).decode()]
        for line in sent:
            writer.write(line)
            await writer.drain()
            if line.endswith(b"\r\n"):
                said.append((await asyncio.wait_for(reader.readline(), 10)).decode())
        writer.close()
        await writer.wait_closed()
        return [line.strip() for line in said]

    return asyncio.run(with_server(folder, talk))


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        ([b"HELO x\r\n"], ["250"]),
        ([b"noop\r\n", b"RSET\r\n", b"QUIT\r\n"], ["250", "250", "221"]),
        ([b"DATA\r\n"], ["503"]),
        ([b"RCPT TO:<a@b>\r\n"], ["503"]),
        ([b"MAIL FROM:<a@b>\r\n", b"DATA\r\n"], ["250", "503"]),
        ([b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n", b"x\r\n.\r\n"], ["250", "250", "354", "250"]),
        ([b"MAIL FROM:<a@b>\r\n", b"RSET\r\n", b"DATA\r\n"], ["250", "250", "503"]),
        ([b"FLY\r\n"], ["502"]),
        ([b"\xff\xfe\r\n"], ["502"]),
        ([b"AUTH PLAIN x\r\n"], ["502"]),
    ],
    ids=str,
)
def test_the_server_answers_as_the_standard_says(tmp_path: Path, sent: list[bytes], codes: list[str]) -> None:
    said = converse(tmp_path, *sent)
    assert said[0].startswith("220 ")
    assert [line[:3] for line in said[1:]] == codes


def test_a_mail_that_was_broken_off_is_not_kept(tmp_path: Path) -> None:
    converse(tmp_path, b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n", b"half a li")
    assert list(tmp_path.glob("*")) == []


@pytest.mark.integration
def test_many_clients_at_once_are_all_served(tmp_path: Path) -> None:
    def send(port: int, number: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.send_message(mail(f"mail {number}", text=".dots\n..\n" * 50))

    async def talk(port: int) -> None:
        # A pool of the clients' own: the server keeps mails in the loop's.
        with ThreadPoolExecutor(24) as pool:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, send, port, number) for number in range(24)))

    asyncio.run(with_server(tmp_path, talk))
    subjects = {entry["subject"] for entry in json.loads(body(tmp_path, "/messages.json"))["messages"]}
    assert subjects == {f"mail {number}" for number in range(24)}
    for path in tmp_path.glob("*.eml"):
        assert pages.parse(path.read_bytes()).get_content().splitlines() == [".dots", ".."] * 50


@pytest.mark.integration
def test_a_mail_that_is_too_large_is_refused_and_the_next_is_taken(tmp_path: Path) -> None:
    async def talk(port: int) -> None:
        def send(size: int) -> None:
            with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
                client.send_message(mail(text=("x" * 70 + "\n") * (size // 71)))

        with pytest.raises(smtplib.SMTPException):
            await asyncio.to_thread(send, smtp.LARGEST_MAIL + 2**20)
        await asyncio.to_thread(send, 1000)

    asyncio.run(with_server(tmp_path, talk))
    assert len(list(tmp_path.glob("*.eml"))) == 1
