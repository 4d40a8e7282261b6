"""A program of twelve folders in a row, and a deployment of it that is killed after a number of the engine's events."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pulumi

from ci.bootstrap import pulumi_path
from ci.engine import Engine, EngineError
from ci.events import Log
from ci.graph import StackInfo
from ci.release.alone import alone
from infra.environment import ROOT, Environment
from infra.provider import resources as machine
from infra.provider.servicer import serve
from infra.provider.supervisor import marker
from leandata.errors import LeandataError

INFO = StackInfo(name="killed", module="ci.tests.release.killed_program", folder=ROOT, needs=())
FOLDERS = 12


def program() -> None:
    """Twelve folders, each after the one before."""
    state = Path(os.environ["LEANDATA_STATE"])
    provider = machine.Provider("machine", state=str(state), marker=marker(state))
    before: pulumi.Resource | None = None
    for number in range(FOLDERS):
        options = pulumi.ResourceOptions(provider=provider, depends_on=[before] if before else [])
        before = machine.Directory(f"d{number:02}", path=str(state / "made" / f"d{number:02}"), opts=options)


class Deadly(Log):
    """A log that ends its process and the engine's at the event of that number."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def take(self, event: object) -> None:
        super().take(event)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Deploy; killed after `argv[1]` events, 0 = to the end. Prints how many events there were."""
    port, stop = serve()
    engine = Engine(environment=Environment.current(), pulumi=pulumi_path(), provider_port=port)
    log = Deadly(int(sys.argv[1]))
    try:
        with alone(engine) as engine, engine.opened(INFO) as stack:
            stack.up(log)
    except EngineError as error:
        sys.exit("; ".join(error.problems))
    except LeandataError as error:
        sys.exit(str(error))
    finally:
        stop()
    print(-log.left)


if __name__ == "__main__":
    main()
