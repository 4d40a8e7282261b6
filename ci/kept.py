"""Files of the machine's cache: whole or not there, and for their owner only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def keep(path: Path, text: str) -> bool:
    """Write a file in the place of the one before; False where it cannot be written: that costs time, no more."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
        scratch.touch(mode=0o600)
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
        return True
    return False
