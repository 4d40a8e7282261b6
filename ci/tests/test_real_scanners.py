"""The real scanners: each finds what is bad, and nothing in the checkout.

The first run on a machine installs them. A change is scanned here when it is of something that a scanner reads.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.scanners.inputs import files
from ci.scanners.run import scan
from ci.scanners.tools import NAMES
from infra.environment import ROOT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.thorough("*Dockerfile", "*.sh", "*.yaml", "*.yml", ".ci/*", "ci/scanners/*"),
]
BAD_DOCKERFILE = "FROM debian\nRUN apt-get update && apt-get install curl\n"
BAD = {
    "dockerfiles": ("Dockerfile", BAD_DOCKERFILE, "DL3008"),
    "shell": ("run.sh", "#!/bin/sh\necho $1\n", "SC2086"),
    "yaml": ("a.yaml", "a:   1\n", "colons"),
    "manifests": ("m/a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {prots: []}\n", "schema 1.35"),
    "policies": (
        "p/a.json",
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObjekt", "Resource": "*"}}',
        "UNKNOWN_ACTION",
    ),
    "workflows": (
        ".github/workflows/a.yml",
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{uses: actions/checkout@v4}]\n",
        "dangerous-triggers",
    ),
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_real_scanners_find_what_is_bad(tmp_path: Path, kind: str):
    name, text, rule = BAD[kind]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    results = scan({kind: [path]}, subject="test", names=[one for one in NAMES if one != "checkov"])
    assert rule in {found.rule for one in results for found in one.found}


def test_the_checkout_has_nothing_that_scanners_find():
    results = scan(files(ROOT), subject="checkout", names=NAMES)
    assert [(one.tool, found) for one in results for found in one.found] == []
