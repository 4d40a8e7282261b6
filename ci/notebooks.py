"""Stored notebooks: code and text only, so that a change of one can be read, and no data lies in git."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leandata.errors import LeandataError

FOLDER = Path("services", "dask", "notebooks")
_HIDDEN = ".ipynb_checkpoints"


def stored(root: Path) -> list[Path]:
    """The notebooks of the checkout at `root`, sorted."""
    found = [path for folder in ("docs", "infra", "services", "shared") for path in (root / folder).rglob("*.ipynb")]
    return sorted(path for path in found if not {_HIDDEN, ".venv"} & set(path.parts))


def filled(root: Path) -> list[str]:
    """A sentence for each stored notebook that holds what came out of a run, sorted. Raises LeandataError."""
    sentences: list[str] = []
    for path in stored(root):
        name = path.relative_to(root).as_posix()
        try:
            notebook = json.loads(path.read_text(encoding="utf-8"))
            cells = [number for number, cell in enumerate(notebook["cells"], start=1) if cell != _bare(cell)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LeandataError("this is no notebook", where=name) from error
        if cells:
            sentences.append(f"{name} holds outputs or counts of a run in the cells {', '.join(map(str, cells))}")
    return sentences


def bare(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook without what came out of a run."""
    return {**notebook, "cells": [_bare(cell) for cell in notebook["cells"]]}


def before_saving(model: dict[str, Any], **_: Any) -> None:
    """What JupyterLab calls before it writes a file: a notebook is stored without outputs; they stay on the page."""
    if model["type"] == "notebook" and model["content"]["nbformat"] == 4:
        model["content"] = bare(model["content"])


def _bare(cell: dict[str, Any]) -> dict[str, Any]:
    if cell["cell_type"] != "code":
        return cell
    metadata = {name: value for name, value in cell["metadata"].items() if name != "execution"}
    return {**cell, "execution_count": None, "metadata": metadata, "outputs": []}
