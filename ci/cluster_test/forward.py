"""Ports of pods on 127.0.0.1: each connection goes to a pod that is ready when it is made, so pods may come and go."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Generator
from typing import Any

from kubernetes import client as api
from kubernetes import stream

from ci.cluster_test import ready
from ci.cluster_test.client import Cluster

_CHUNK = 65_536
_ACCEPT_SECONDS = 0.5
_END_SECONDS = 5.0


class Forward:
    """A server on a free port of 127.0.0.1 that hands every connection to a ready pod of a Service."""

    def __init__(self, cluster: Cluster, *, namespace: str, service: str) -> None:
        self._cluster, self._namespace, self._service = cluster, namespace, service
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(_ACCEPT_SECONDS)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Take no more connections."""
        self._ending.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._socket.accept()
                threading.Thread(target=self._hand_on, args=(connection,), daemon=True).start()

    def _hand_on(self, connection: socket.socket) -> None:
        """Carry bytes both ways until one side ends; the caller sees a closed connection when there is no pod."""
        with connection, contextlib.suppress(OSError, LookupError, api.ApiException):
            pod, port = self._target()
            forward: Any = stream.portforward(
                self._cluster.streaming().connect_get_namespaced_pod_portforward,
                pod,
                self._namespace,
                ports=str(port),
            )
            try:
                with contextlib.closing(forward.socket(port)) as other:
                    other.setblocking(True)
                    _carry(connection, other, self._ending)
            finally:
                _ended(forward)

    def _target(self) -> tuple[str, int]:
        """A ready pod of the Service, and the port there. Raises LookupError when there is none."""
        service = self._cluster.get("v1", "Service", self._namespace, self._service)
        if service is None:
            raise LookupError(self._service)
        labels = ",".join(f"{key}={value}" for key, value in sorted(service["spec"]["selector"].items()))
        pods = [pod for pod in self._cluster.pods(self._namespace, labels) if _takes_requests(pod)]
        if not pods:
            raise LookupError(self._service)
        return pods[0]["metadata"]["name"], int(service["spec"]["ports"][0]["targetPort"])


@contextlib.contextmanager
def forwarded(cluster: Cluster, *, namespace: str, service: str) -> Generator[Forward]:
    """The Service on a free port of 127.0.0.1 while the block runs."""
    found = Forward(cluster, namespace=namespace, service=service)
    try:
        yield found
    finally:
        found.close()


def _takes_requests(pod: dict[str, Any]) -> bool:
    return bool(ready.condition(pod, "Ready")) and "deletionTimestamp" not in pod["metadata"]


def _ended(forward: Any) -> None:
    """Free the connection to the cluster once the client's own thread has left it: it fails on a closed one."""
    until = time.monotonic() + _END_SECONDS
    while forward.connected and time.monotonic() < until:
        time.sleep(0.05)
    forward.websocket.shutdown()


def _carry(one: socket.socket, other: Any, ending: threading.Event) -> None:
    pairs = {one: other, other: one}
    while pairs and not ending.is_set():
        readable, _, _ = select.select(list(pairs), [], [], _ACCEPT_SECONDS)
        for source in readable:
            data = source.recv(_CHUNK)
            if not data:
                return
            pairs[source].sendall(data)
