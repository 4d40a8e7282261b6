"""`test-cluster`: prove the platform on the Kubernetes that KUBECONFIG names."""

from __future__ import annotations

import os
import subprocess
import sys

from ci.cli import Options
from infra.environment import ROOT

_TESTS = "ci/cluster_test/tests"


def test_cluster(options: Options) -> int:
    """Build the images that changed, then run the tests of the cluster; the first exit code that is not 0."""
    from ci.cluster_test.client import Cluster
    from ci.cluster_test.platform import NAME, releases

    Cluster.current().close()
    path = releases(os.environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, "LEANDATA_RELEASES": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    environ |= {"LEANDATA_CLUSTER_KEEP": "1"} if options.keep else {}
    commands = ([sys.executable, "-m", "ci", "images", "--env", NAME], [sys.executable, "-m", "pytest", _TESTS])
    for command in commands:
        code = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        if code:
            return code
    return 0
