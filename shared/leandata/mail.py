"""Mail: HTML with a text part and inline images, handed to a server by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid

from leandata.errors import MailError
from leandata.settings import MailAddress

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A mail. `images` maps the content ids that the HTML names (`cid:chart`) to PNG bytes."""

    subject: str
    to: Sequence[str]
    text: str
    html: str = ""
    images: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


def compose(message: Message, *, sender: str, message_id: str = "", sent_at: datetime | None = None) -> EmailMessage:
    """The mail as it is sent; without `sent_at`, which has to have a zone, it has no Date and is the same each time."""
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = sender
    mail["To"] = ", ".join(message.to)
    if sent_at is not None:
        mail["Date"] = sent_at
    mail["Message-ID"] = message_id or make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
        page = mail.get_payload()[1]  # pyright: ignore[reportIndexIssue, reportUnknownVariableType, reportArgumentType]
        for cid, image in sorted(message.images.items()):
            page.add_related(image, maintype="image", subtype="png", cid=f"<{cid}>", filename=f"{cid}.png")  # pyright: ignore
    return mail


def send(address: MailAddress, message: Message) -> str:
    """Hand the mail to the server; its Message-ID. Raises MailError when the server cannot be reached or refuses.

    Its Date is the moment of this try by the machine's clock, as RFC 5322, section 3.6.1 demands one of every mail.
    Where the address names a user, nothing is said before the line is encrypted and the server has proven its name.
    """
    mail = compose(message, sender=address.sender, sent_at=datetime.now(UTC))
    try:
        with smtplib.SMTP(address.host, address.port, timeout=_TIMEOUT_SECONDS) as server:
            if address.user:
                server.starttls(context=ssl.create_default_context())
                server.login(address.user, address.password)
            # smtplib's own send_message writes ">From" where a line of the text begins with "From".
            server.sendmail(address.sender, list(message.to), mail.as_bytes(policy=policy.SMTP))
    except (OSError, smtplib.SMTPException) as error:
        place = f"{address.host}:{address.port}"
        raise MailError(f"the mail {message.subject!r} was not taken: {error}", where=place) from error
    return str(mail["Message-ID"])
