"""The whole platform again: nothing changes, and a stack that is deleted from the programs goes from the cluster."""

from __future__ import annotations

import pytest

from ci.cluster_test.platform import Platform
from infra.testing.parts import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_applying_again_changes_nothing(platform: Platform) -> None:
    platform.apply(say=print)  # what other proofs changed by hand is put back
    done = platform.apply(say=print)
    assert (done.created, done.changed) == ([], [])
    assert len(done.unchanged) > 100


def test_what_is_deleted_from_the_programs_is_pruned_and_comes_back(platform: Platform) -> None:
    home = platform.namespace("dash")
    platform.apply(say=print, without=["dash"])
    eventually(lambda: not platform.cluster.pods(home), seconds=120)
    for version, kind in (("apps/v1", "Deployment"), ("v1", "Service"), ("policy/v1", "PodDisruptionBudget")):
        assert platform.cluster.get(version, kind, home, "dash") is None
    assert platform.cluster.get("v1", "Namespace", "", home) is not None
    platform.apply(say=print)
    assert platform.pods("dash")
