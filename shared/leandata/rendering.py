"""Files that are composed of secrets, written where a process starts: `python -m leandata.rendering` in its pod.

LEANDATA_RENDER is JSON: for each file's path its template and, by the names in the template, the paths of the secrets.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leandata.errors import LeandataError, SettingsError
from leandata.settings import read_secret

VARIABLE = "LEANDATA_RENDER"


def render(files: Mapping[str, Any]) -> list[Path]:
    """Write each file, mode 0600: `{name}` in its template is replaced by the secret in the file `secrets[name]`.

    Raises SettingsError for a secret that is missing or empty, and for a template that names one which is not given.
    """
    written: list[Path] = []
    for place, wanted in sorted(files.items()):
        values = {name: read_secret(Path(source)) for name, source in wanted["secrets"].items()}
        path = Path(place)
        text = composed(path, str(wanted["template"]), values)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def composed(path: Path, template: str, values: Mapping[str, str]) -> str:
    """The text of the file at `path`. Raises SettingsError for a template that names a secret that is not given."""
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError):
        known = ", ".join(sorted(values)) or "none"
        reason = f"the template of {path.name} names a secret that is not given; there are: {known}"
        raise SettingsError(reason, where=str(path)) from None


def main() -> int:
    """Render what LEANDATA_RENDER says; the files' names, or the one thing that is wrong."""
    try:
        files = json.loads(os.environ.get(VARIABLE, ""))
        for path in render(files):
            print(f"rendered {path.name}")
    except (ValueError, KeyError, TypeError, AttributeError):
        print(f"error: {VARIABLE} is not well formed", file=sys.stderr)
        return 2
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
