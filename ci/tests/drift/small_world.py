"""A program with one of each simple kind, in the environment that the test names."""

from __future__ import annotations

import sys

from infra.components.stack import Stack
from infra.provider import resources as machine


def program() -> None:
    """Declare a folder, a file, a secret and a process that only sleeps."""
    stack = Stack.begin("small")
    machine.Directory("store", path=stack.folder("store"), mode="0750", retain=True, opts=stack.options())
    machine.File("settings", path=stack.folder("etc", "settings.ini"), content="colour = blue\n", opts=stack.options())
    machine.File("banner", path=stack.folder("etc", "banner"), content="hello\n", opts=stack.options())
    machine.Secret("key", path=stack.folder("secrets", "key"), opts=stack.options())
    machine.Process(
        "sleeper", command=[sys.executable, "-c", "import time; time.sleep(1000)"], directory="/", opts=stack.options()
    )
