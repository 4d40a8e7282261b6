"""Mail on one machine: a catcher that keeps every mail as a file and shows it in the browser."""

from __future__ import annotations

from urllib.parse import quote

import pulumi

from infra.components.manifest import ProcessManifest
from infra.components.service import Program, Service
from infra.components.stack import Stack

MANIFEST = {
    "name": "mail",
    "health": "/healthz",
    "ready": "",
    "start_timeout": "60s",
    "memory": "128MiB",
    "cpu": "50m",
    "drain": "10s",
}


def make(parent: pulumi.Resource, *, stack: Stack) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """The catcher's process; where programs send mail to, and where people read it."""
    smtp, web = stack.listen("mail"), stack.listen("mail-web")
    manifest = ProcessManifest.model_validate(MANIFEST)
    command = [
        *(stack.python, "-m", "infra.standins.mail", "--data", stack.folder("mail")),
        *("--smtp-port", str(smtp.port), "--http-port", str(web.port)),
    ]
    program = Program(
        manifest=manifest,
        command=command,
        triggers=stack.code("infra/standins/mail"),
        health=f"{web.url}/healthz",
    )
    Service("mail-catcher", stack=stack, programs=[program], parent=parent)
    sender = quote(stack.environment.file.mail.sender, safe="@")
    return pulumi.Output.from_input(f"smtp://{smtp.address}?sender={sender}"), pulumi.Output.from_input(web.url)
