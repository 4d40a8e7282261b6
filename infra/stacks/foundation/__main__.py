"""The foundation: what every other stack stands on. On one machine that is the mail catcher."""

from __future__ import annotations

from infra.components.mail import Mail
from infra.components.stack import Stack
from infra.stacks.foundation.outputs import FoundationOutputs


def program() -> None:
    """Declare the foundation."""
    stack = Stack.begin("foundation")
    mail = Mail("mail", stack=stack)
    FoundationOutputs(mail=mail.address, mail_url=mail.url).export()


if __name__ == "__main__":
    program()
