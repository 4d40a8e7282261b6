"""Mail in the cluster: the catcher of one machine, in a pod."""

from __future__ import annotations

from urllib.parse import quote

import pulumi

from infra.components.machine.mail import MANIFEST
from infra.components.manifest import ProcessManifest
from infra.components.service import Program, Service
from infra.components.stack import Stack

_STORAGE = 2**30


def make(parent: pulumi.Resource, *, stack: Stack) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """The catcher's pod; where programs send mail to, and where people read it."""
    smtp, web, folder = stack.listen("mail"), stack.listen("mail-web"), stack.folder("mail")
    program = Program(
        manifest=ProcessManifest.model_validate(MANIFEST),
        command=[
            *("python", "-m", "infra.standins.mail", "--host", smtp.bind, "--data", folder),
            *("--smtp-port", str(smtp.port), "--http-port", str(web.port)),
        ],
        health=f"{web.url}/healthz",
        storage={folder: _STORAGE},
    )
    service = Service("mail-catcher", stack=stack, programs=[program], parent=parent)
    sender = quote(stack.environment.file.mail.sender, safe="@")
    made = service.processes["mail"].urn
    return made.apply(lambda _: f"smtp://{smtp.address}?sender={sender}"), made.apply(lambda _: web.url)
