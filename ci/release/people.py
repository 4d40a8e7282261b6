"""Who works here, as it is written down."""

from __future__ import annotations

import getpass
import os
import socket


def who() -> str:
    """Who deploys: the person that CI names, else the user of this machine."""
    actor = os.environ.get("GITHUB_ACTOR")
    if actor:
        return f"{actor} (CI)"
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"{os.getuid()}@{socket.gethostname()}"
