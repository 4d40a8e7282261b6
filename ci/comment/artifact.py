"""A request's artifact, taken as hostile: one small file is read out of it, and nothing is ever unpacked."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

from leandata.errors import LeandataError

ZIPPED = 10_000_000
UNZIPPED = 20_000_000
_ENTRIES = 50


class RefusedError(LeandataError):
    """What a request made is not what it should be: nothing of it is shown."""


def preview_file(data: bytes) -> bytes:
    """The file `preview.json` in a zip file. Raises RefusedError for whatever else this is."""
    if len(data) > ZIPPED:
        raise RefusedError("the artifact is too large")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, _entry(archive.infolist()))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OSError):
        raise RefusedError("the artifact is no zip file that can be read") from None


def _entry(entries: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    if len(entries) > _ENTRIES:
        raise RefusedError("the artifact holds too many files")
    for entry in entries:
        parts = entry.orig_filename.split("/")
        if ".." in parts or parts[0] == "" or any(sign in entry.orig_filename for sign in "\\:\0"):
            raise RefusedError("the artifact names a file outside itself")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise RefusedError("the artifact holds a link or a device")
        if entry.flag_bits & 0x1:
            raise RefusedError("the artifact is encrypted")
        # Decompressors of other kinds have errors of their own, and LZMA takes as much memory as it is told to.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RefusedError("the artifact is packed in a way that GitHub does not use")
    found = [entry for entry in entries if entry.orig_filename == "preview.json"]
    if len(found) != 1:
        raise RefusedError(f"the artifact holds {len(found) or 'no'} files preview.json")
    return found[0]


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # What the archive says of its size is believed only as far as it is refused for it.
    if entry.file_size > UNZIPPED:
        raise RefusedError("the preview is too large")
    with archive.open(entry) as file:
        found = file.read(UNZIPPED + 1)
    if len(found) > UNZIPPED:
        raise RefusedError("the preview is too large")
    return found
