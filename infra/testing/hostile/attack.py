"""Sends an API what schemathesis makes of its description, and looks afterwards what became of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from infra.testing import published
from infra.testing.api import KEY, PAYLOADS, Api, event
from infra.testing.fixtures import TODAY

_HOOKS = Path(__file__).with_name("hooks.py")
_OF_EACH_TYPE = 25
_ANSWERS = re.compile(r'^leandata_api_requests_total\{route="[^"]*",status="(\d+)"\} (\d+)', re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of it: answers by status, ids by whether the API accepted them and whether it kept them."""

    answers: dict[int, int]
    accepted: frozenset[str]
    kept: frozenset[str]
    failures: str
    seconds: float

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return sum(self.answers.values())

    @property
    def lost(self) -> frozenset[str]:
        """Events that were accepted and are not there."""
        return self.accepted - self.kept

    @property
    def slipped_in(self) -> frozenset[str]:
        """Events that are there and were never accepted."""
        return self.kept - self.accepted


def fill(api: Api) -> None:
    """Publish the real sales, and keep some events of each type."""
    published.put_all(api.serving, today=TODAY)
    batch = [
        event(event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {number}")), type=name, payload=payload)
        for name, payload in PAYLOADS.items()
        for number in range(_OF_EACH_TYPE)
    ]
    api.client.post("/v1/events", json=batch).raise_for_status()


def attack(api: Api, *, examples: int, seed: int) -> Outcome:
    """Ask every operation, rightly and wrongly, with at most `examples` generated cases each besides the boundaries.

    `failures` is what schemathesis says of answers that are not as described; "" where there are none.
    """
    accepted = api.folder / "accepted"
    accepted.write_text("".join(f"{one}\n" for one in sorted(api.kept())), encoding="utf-8")
    before, started = _answers(api), time.monotonic()
    result = subprocess.run(
        [
            str(Path(sys.executable).with_name("st")), "run", f"{api.url}/openapi.json", "--no-color",
            "--header", f"X-API-Key: {KEY}", "--seed", str(seed), "--max-examples", str(examples),
            "--continue-on-failure",
        ],
        cwd=api.folder,
        env={**os.environ, "HOSTILE_ACCEPTED": str(accepted), "SCHEMATHESIS_HOOKS": str(_HOOKS)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    return Outcome(
        answers=dict(sorted((_answers(api) - before).items())),
        accepted=frozenset(accepted.read_text(encoding="utf-8").split()),
        kept=frozenset(api.kept()),
        failures="" if result.returncode == 0 else result.stdout + result.stderr,
        seconds=time.monotonic() - started,
    )


def _answers(api: Api) -> Counter[int]:
    """The answers so far by status, as the API itself counts them."""
    found: Counter[int] = Counter()
    for status, count in _ANSWERS.findall(api.client.get("/metrics").text):
        found[int(status)] += int(count)
    return found
