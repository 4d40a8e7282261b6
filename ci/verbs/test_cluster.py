"""`test-cluster`: prove the platform on the Kubernetes that KUBECONFIG names."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection

from ci import images as building
from ci.cli import Options
from ci.verbs.images import BASE, tags
from infra.components import images as released
from infra.environment import ROOT, Environment

_TESTS = "ci/cluster_test/tests"


def test_cluster(options: Options) -> int:
    """Build the images that the cluster does not hold yet, then run its tests; the first exit code that is not 0."""
    from ci.cluster_test.client import Cluster
    from ci.cluster_test.platform import NAME, releases

    with contextlib.closing(Cluster.current()) as cluster:
        held = cluster.images()
    path = releases(os.environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.environ |= {"LEANDATA_RELEASES": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    os.environ |= {"LEANDATA_CLUSTER_KEEP": "1"} if options.keep else {}
    environment = Environment.load(NAME, environ=os.environ)
    building.record(path, {**released.releases(environment), **_held(environment, held)})
    commands = ([sys.executable, "-m", "ci", "images", "--env", NAME], [sys.executable, "-m", "pytest", _TESTS])
    for command in commands:
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


def _held(environment: Environment, there: Collection[str]) -> dict[str, dict[str, str]]:
    """What a releases file says of those images, as they are now, that the cluster holds already."""
    known = {
        name: {"repository": released.repository(environment, name), "tag": tag}
        for name, tag in tags(environment, base=os.environ.get(BASE, "")).items()
    }
    return {name: one for name, one in known.items() if f"{one['repository']}:{one['tag']}" in there}
