"""What comparing two declarations and finding the risks costs, a resource, as environments grow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ci.preview.changes import compare
from ci.preview.risks import assess
from ci.programs import Program, Resource

TARGETS = {"compare_ms_at_5000_to_at_500": "at most 1.5"}
SIZES = (500, 1_000, 2_000, 5_000)
_ROUNDS = 3
_CHANGED = 10  # one of so many


class _Nobody:
    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        """Nobody: who signs costs nothing."""
        del kind, stack
        return ()


def measure(folder: Path) -> dict[str, float]:
    """Milliseconds a resource at each size, the best of three, and the largest to the smallest."""
    del folder
    figures = {size: 1000 * min(once(size) for _ in range(_ROUNDS)) / size for size in SIZES}
    found = {f"compare_ms_at_{size}": value for size, value in figures.items()}
    return found | {"compare_ms_at_5000_to_at_500": figures[SIZES[-1]] / figures[SIZES[0]]}


def once(size: int) -> float:
    """Seconds for two declarations of so many resources, of which every tenth differs, goes or moves."""
    base, head = declared(size, changed=False), declared(size, changed=True)
    started = time.perf_counter()
    root = Path("/checkout")
    changes = compare(base, head, base_root=root, head_root=root, reasons={})
    assess(changes, base=base, head=head, teams=_Nobody())
    return time.perf_counter() - started


def declared(size: int, *, changed: bool) -> dict[str, Program]:
    """Buckets, roles, grants and deployments in one stack."""
    resources = [_resource(number, changed=changed and number % _CHANGED == 0) for number in range(size)]
    return {"s": Program(resources={one.urn: one for one in resources})}


def _resource(number: int, *, changed: bool) -> Resource:
    name = f"{'moved-' if changed and number % 40 == 0 else ''}{number}"
    extra = ["s3:PutObject"] if changed else []
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", *extra], "Resource": f"arn:aws:s3:::lake/{number}/*"}
    env = [{"name": f"NAME_{one}", "value": str(one + changed)} for one in range(10)]
    container = {"name": "a", "image": "a@sha256:0", "env": env}
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("aws:s3/bucket:Bucket", {"bucket": f"bucket-{number}", "tags": {"changed": str(changed)}}),
        ("aws:iam/rolePolicy:RolePolicy", {"role": f"role-{number}", "policy": {"Statement": [statement]}}),
        (
            "snowflake:index/grantAccountRole:GrantAccountRole",
            {"roleName": f"R{number}", "parentRoleName": f"P{changed}"},
        ),
        (
            "kubernetes:apps/v1:Deployment",
            {
                "metadata": {"name": f"d-{number}", "namespace": f"n-{number % 20}"},
                "spec": {"template": {"spec": {"containers": [container]}}},
            },
        ),
    )
    type_, properties = kinds[number % len(kinds)]
    return Resource(
        urn=f"urn:pulumi:bench::s::{type_}::{name}", type=type_, name=name, parent="", custom=True,
        properties=properties, needs=(), protect=False, retain=False, ignore=(),
    )  # fmt: skip
