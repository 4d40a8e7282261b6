"""The pods that there were while something happened, also those that came and went."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ci.cluster_test.client import Cluster
from leandata.errors import LeandataError

_SECONDS = 1.0


class Watcher:
    """Looks at the pods of some namespaces once a second until it is closed, and remembers each as it last was."""

    def __init__(self, kubeconfig: str, namespaces: Sequence[str]) -> None:
        self._cluster = Cluster(kubeconfig)
        self._namespaces = list(namespaces)
        self._seen: dict[str, dict[str, Any]] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """The pods that were seen in a namespace, in the order in which they came."""
        return [pod for pod in list(self._seen.values()) if pod["metadata"]["namespace"] == namespace]

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self._cluster.close()

    def _watch(self) -> None:
        while not self._ending.wait(_SECONDS):
            for namespace in self._namespaces:
                try:
                    found = self._cluster.pods(namespace)
                except LeandataError:
                    continue
                self._seen |= {pod["metadata"]["uid"]: pod for pod in found}
