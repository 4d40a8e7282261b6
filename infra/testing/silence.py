"""A server that may fall silent: connections stay open and nothing is ever answered, as when a machine hangs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Silence:
    """What stands at `port` before the server at `target`: it passes on what both say, until it is `silent`.

    Then connections are taken, and what is said in them is lost; those that were open stay open.
    """

    target: tuple[str, int]
    listener: socket.socket
    silent: threading.Event = field(default_factory=threading.Event)
    _open: list[socket.socket] = field(default_factory=list[socket.socket])

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return int(self.listener.getsockname()[1])

    def fall(self) -> None:
        """Be silent from now on, in every connection."""
        self.silent.set()

    def end(self) -> None:
        """Speak again; connections of the silence are cut, as they are when a machine starts anew."""
        self.silent.clear()
        self._cut()

    def close(self) -> None:
        """Take no connection any more."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._cut()

    def run(self) -> None:
        """Take connections until it is closed."""
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self._open.append(near)
            if self.silent.is_set():
                continue
            far = socket.create_connection(self.target)
            self._open.append(far)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := one.recv(65_536):
                if not self.silent.is_set():
                    other.sendall(said)
            if not self.silent.is_set():
                other.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        while self._open:
            one = self._open.pop()
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextlib.contextmanager
def before(host: str, port: int) -> Generator[Silence]:
    """What stands before the server at that address; it speaks at first."""
    found = Silence(target=(host, port), listener=socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=found.run, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.close()
        thread.join(timeout=10)
