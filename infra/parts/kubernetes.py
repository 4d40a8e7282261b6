"""What an environment says of its Kubernetes cluster."""

from __future__ import annotations

from infra.parts.base import Part


class Kubernetes(Part):
    """`prefix` starts every namespace's name; `registry` is where images lie when not in ECR."""

    prefix: str
    registry: str = ""
