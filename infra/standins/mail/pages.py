"""The pages that show the mails that were kept."""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from pathlib import Path

_NAME = re.compile(r"[0-9]{20}-[0-9a-f]{8}")
_SHELL = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
:root {{ color-scheme: light dark; }} body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
padding: 0 1rem; }} table {{ border-collapse: collapse; width: 100%; }}
td, th {{ text-align: left; padding: .4rem .6rem;
border-bottom: 1px solid #8884; }} iframe {{ width: 100%; height: 75vh; border: 1px solid #8886; border-radius: 6px; }}
pre {{ white-space: pre-wrap; background: #8881; padding: 1rem; border-radius: 6px; }} .quiet {{ opacity: .7; }}
</style><body>{body}</body></html>"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    kind: str
    body: bytes


def answer(folder: Path, path: str) -> Answer:
    """What the page at `path` shows of the mails in `folder`."""
    name = path.removeprefix("/mail/").partition("/")[0]
    if path == "/healthz":
        return Answer(status=200, kind="text/plain", body=b"ok")
    if path == "/messages.json":
        return Answer(status=200, kind="application/json", body=_listing(folder).encode())
    if path == "/":
        return _page("Mail", _index(folder))
    if path.startswith("/mail/") and _NAME.fullmatch(name) and (folder / f"{name}.eml").exists():
        data = (folder / f"{name}.eml").read_bytes()
        if path.endswith("/raw"):
            return Answer(status=200, kind="message/rfc822", body=data)
        mail = parse(data)
        if path.endswith("/html"):
            return Answer(status=200, kind="text/html; charset=utf-8", body=with_images(mail).encode())
        return _page(str(mail["Subject"]), _mail(name, mail))
    return Answer(status=404, kind="text/plain", body=b"there is no such page")


def parse(data: bytes) -> EmailMessage:
    """A mail from its bytes."""
    return message_from_bytes(data, policy=policy.default)  # pyright: ignore[reportReturnType]


def with_images(mail: EmailMessage) -> str:
    """The HTML part, its inline images (cid:) put into the text, so that it shows without its mail."""
    part = mail.get_body(("html",))
    text = _content(part) if part else "<p>This mail has no HTML part.</p>"
    for image in mail.walk():
        cid = str(image.get("Content-ID", "")).strip("<>")
        if cid and image.get_content_maintype() == "image":
            data = base64.b64encode(image.get_payload(decode=True) or b"").decode()  # pyright: ignore
            text = text.replace(f"cid:{cid}", f"data:{image.get_content_type()};base64,{data}")
    return text


def _content(part: MIMEPart) -> str:
    """A part's text; one in an encoding that nobody knows is shown as it came."""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        data = part.get_payload(decode=True)
        return data.decode("latin-1") if isinstance(data, bytes) else str(part.get_payload())


def _names(folder: Path) -> list[str]:
    return sorted((path.stem for path in folder.glob("*.eml")), reverse=True)


def _listing(folder: Path) -> str:
    def entry(name: str) -> dict[str, str]:
        mail = parse((folder / f"{name}.eml").read_bytes())
        return {
            "name": name,
            **{key.lower(): str(mail[key]) for key in ("Subject", "From", "To", "Date", "Message-ID")},
        }

    messages = [entry(name) for name in _names(folder)]
    return json.dumps({"version": 1, "messages": messages}, sort_keys=True)


def _index(folder: Path) -> str:
    rows = ""
    for name in _names(folder):
        mail = parse((folder / f"{name}.eml").read_bytes())
        subject, to, sent = (html.escape(str(mail[key] or "")) for key in ("Subject", "To", "Date"))
        rows += f'<tr><td><a href="/mail/{name}">{subject}</a></td><td>{to}</td><td>{sent}</td></tr>'
    table = f"<table><tr><th>Subject</th><th>To</th><th>Date</th></tr>{rows}</table>" if rows else "<p>No mail yet.</p>"
    return f'<h1>Mail</h1><p class="quiet">Kept on this machine; nothing was sent anywhere.</p>{table}'


def _mail(name: str, mail: EmailMessage) -> str:
    heads = "".join(
        f"<tr><th>{key}</th><td>{html.escape(str(mail[key]))}</td></tr>"
        for key in ("Subject", "From", "To", "Date", "Message-ID")
        if mail[key] is not None
    )
    plain = mail.get_body(("plain",))
    text = html.escape(_content(plain).replace("\r\n", "\n") if plain else "")
    frame = f'<iframe sandbox src="/mail/{name}/html" title="HTML part"></iframe>' if mail.get_body(("html",)) else ""
    links = f'<p><a href="/">All mail</a> · <a href="/mail/{name}/raw">as it came</a></p>'
    return f"{links}<table>{heads}</table><p></p>{frame}<h2>Text part</h2><pre>{text}</pre>"


def _page(title: str, body: str) -> Answer:
    page = _SHELL.format(title=html.escape(title), body=body)
    return Answer(status=200, kind="text/html; charset=utf-8", body=page.encode())
