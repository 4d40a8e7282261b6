"""The whole platform on the cluster that KUBECONFIG names, and how what runs there is reached from here."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ci.cluster_test import apply as applying
from ci.cluster_test.bring import Done, Say
from ci.cluster_test.client import Cluster, Ran
from ci.cluster_test.forward import Forward, forwarded
from ci.cluster_test.objects import Item, items
from ci.graph import discover
from ci.programs import Program, declared
from infra.components import naming
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

NAME = "cluster"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One environment in one cluster: what its programs declare, and what of it can be asked for."""

    cluster: Cluster
    environment: Environment
    programs: Mapping[str, Program]

    @classmethod
    def declared(cls, cluster: Cluster, *, today: date, environ: Mapping[str, str] = os.environ) -> Platform:
        """What the environment `cluster` declares when it is `today`. Raises LeandataError with a program's reason."""
        own = {**environ, "LEANDATA_TODAY": today.isoformat()}
        environment = Environment.load(NAME, environ=own, root=ROOT)
        return cls(cluster=cluster, environment=environment, programs=declared(NAME, environ=own))

    def items(self, *, without: Sequence[str] = ()) -> dict[str, Item]:
        """Everything to apply, without these stacks."""
        kept = {name: program for name, program in self.programs.items() if name not in without}
        return items(kept, discover(ROOT, NAME), environment=NAME)

    def apply(self, *, say: Say, without: Sequence[str] = ()) -> Done:
        """Bring the cluster to what is declared."""
        return applying.apply(self.items(without=without), self.cluster, environment=NAME, say=say)

    def clear(self) -> None:
        """Remove everything, the data too: namespaces go, and what is in them."""
        applying.clear(self.cluster, environment=NAME)

    def namespace(self, owner: str) -> str:
        """The namespace of a service, of the stand-ins or of the system."""
        return naming.namespace(self.environment, owner)

    def home(self, process: str) -> str:
        """The namespace of a process."""
        return self.namespace(naming.home(process, root=self.environment.root))

    def secret(self, name: str) -> str:
        """The value of a secret. Raises LeandataError when it is in none of its namespaces."""
        for owner in naming.secret_homes(self.environment, name):
            found = self.cluster.get("v1", "Secret", self.namespace(owner), name)
            if found is not None:
                return base64.b64decode(found["data"]["value"]).decode()
        raise LeandataError(f"the cluster has no secret {name}")

    @contextlib.contextmanager
    def forwarded(self, port: str) -> Generator[Forward]:
        """The port of that name, of whichever pod is ready, on 127.0.0.1."""
        with forwarded(self.cluster, namespace=self.home(naming.process_of(port)), service=port) as found:
            yield found

    def pods(self, process: str) -> list[dict[str, Any]]:
        """The running pods of a process that are not on their way out, by name."""
        found = self.cluster.pods(self.home(process), f"app.kubernetes.io/name={process}")
        return [
            pod
            for pod in found
            if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
        ]

    def python(self, process: str, program: str, *arguments: str, seconds: int = 60) -> Ran:
        """Run a Python program in the first pod of a process. Raises LeandataError when it has none."""
        found = self.pods(process)
        if not found:
            raise LeandataError(f"no pod of {process} runs")
        pod = found[0]
        container = str(pod["spec"]["containers"][0]["name"])
        command = ["python", "-c", program, *arguments]
        return self.cluster.run(
            self.home(process), pod["metadata"]["name"], command, container=container, seconds=seconds
        )


def releases(environ: Mapping[str, str], *, root: Path = ROOT) -> Path:
    """The releases file of the test: LEANDATA_RELEASES, else one beside the other state of the environment."""
    return Path(environ.get("LEANDATA_RELEASES") or root / ".leandata" / NAME / "releases.json")
