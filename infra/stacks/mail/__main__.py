"""Mail: a catcher that keeps and shows it on one machine, a relay elsewhere."""

from __future__ import annotations

from infra.components.mail import Mail
from infra.components.stack import Stack
from infra.stacks.mail.outputs import MailOutputs


def program() -> None:
    """Declare where mail goes."""
    stack = Stack.begin("mail")
    mail = Mail("mail", stack=stack)
    MailOutputs(mail=mail.address, mail_url=mail.url).export()


if __name__ == "__main__":
    program()
