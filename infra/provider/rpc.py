"""XML-RPC over a Unix socket whose path may be longer than the 107 bytes that an address holds."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import xmlrpc.client
from collections.abc import Generator
from pathlib import Path
from typing import Any

_LONGEST_ADDRESS = 100
_TIMEOUT_SECONDS = 60


@contextlib.contextmanager
def bindable(path: Path) -> Generator[tuple[str, tuple[int, ...]]]:
    """An address for the socket at `path`, and the descriptors that it needs to stay open.

    A path that is too long for an address is reached through its folder's descriptor.
    """
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path), ()
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}", (folder,)
    finally:
        os.close(folder)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        try:
            with bindable(self._path) as (address, _):
                self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise


class Transport(xmlrpc.client.Transport):
    """Speaks to the server that listens on the Unix socket at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _Connection(self._path)
        self._connection = host, connection  # what the base class closes
        return connection
