"""Whether the pages of services answer: the first look after a deployment, on one machine and in the cloud."""

from __future__ import annotations

import http.client
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.components.manifest import ServiceManifest
from infra.environment import Environment

Ask = Callable[[str], int]
_SECONDS = 10
PATIENCE = 120.0
# A page behind the company's login sends people there: whoever answers so is up.
_GOOD = frozenset({200, 204, 301, 302, 303, 307, 308, 401, 403})


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A process of a service, and the address by which it says that it is well."""

    process: str
    url: str


def pages(environment: Environment, services: Sequence[ServiceManifest]) -> list[Page]:
    """Where each service answers over HTTP from outside, by name; only what is open where services run in pods."""
    aws = environment.file.aws
    found: list[Page] = []
    for service in services:
        for process in service.process:
            path = process.ready or process.health
            if not path.startswith("/") or process.only_on:
                continue
            if aws is None and not environment.has("kubernetes"):
                url = f"http://127.0.0.1:{environment.port(process.name)}{path}"
            elif aws is not None and service.network.open_to != "nobody":
                url = f"https://{process.name}.{aws.domain}{path}"
            else:
                continue
            found.append(Page(process=process.name, url=url))
    return sorted(found, key=lambda page: page.process)


def wrong(page: Page, ask: Ask, *, patience: float, pause: float = 2.0) -> str:
    """Why the page does not answer well, tried for `patience` seconds; "" when it does."""
    until = time.monotonic() + patience
    while True:
        try:
            code = ask(page.url)
        except OSError as error:
            said = f"cannot be reached ({type(error).__name__})"
        else:
            if code in _GOOD:
                return ""
            said = f"answers {code}"
        if time.monotonic() >= until:
            return said
        time.sleep(pause)


def problem_of(environment: Environment, service: str) -> str:
    """What is wrong with the pages of a service, as a sentence; "" when they answer well, or nobody can ask them."""
    asked = pages(environment, [ServiceManifest.load(service, root=environment.root)])
    said = {page: wrong(page, ask, patience=PATIENCE) for page in asked}
    return "; ".join(f"{page.process} {problem}" for page, problem in said.items() if problem)


def ask(url: str) -> int:
    """The status of the answer, without following where it leads: a login is not ours. Raises OSError without any."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()):
        opener.add_handler(handler)
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            return int(answer.status)
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
