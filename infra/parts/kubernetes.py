"""What an environment says of its Kubernetes cluster."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from infra.parts.base import Part


class Kubernetes(Part):
    """`prefix` starts every namespace's name; `registry` is where images lie when not in ECR.

    `replicas` caps how many pods of a service run at least, `replicas_at_most` how far it may grow: what its manifest
    asks for is never exceeded. `cpu_promised` is what part of the CPU that a container may use its node keeps for it:
    little where one small node holds everything.
    """

    prefix: str = Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,20}-)?)?$")
    registry: str = ""
    cpu_promised: float = Field(default=0.5, gt=0, le=1)
    replicas: int = Field(ge=1, le=50)
    replicas_at_most: int = Field(ge=1, le=200)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas > self.replicas_at_most:
            raise ValueError("replicas is more than replicas_at_most")
        return self
