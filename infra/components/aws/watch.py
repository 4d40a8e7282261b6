"""Alarms: what of a managed service a person is told, through the environment's topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import provider
from infra.components.stack import Stack
from infra.stacks.foundation.outputs import FoundationOutputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """One thing that is watched: `says` is what the person reads, `period` the seconds of one measurement.

    It rings when `periods` measurements in a row are above (or, with `below`, under) `threshold`.
    """

    name: str
    says: str
    metric: str
    threshold: float
    period: int = 300
    periods: int = 3
    statistic: str = "Average"
    below: bool = False


def make_alarms(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    namespace: str,
    dimensions: Mapping[str, pulumi.Input[str]],
    watched: Sequence[Watch],
) -> None:
    """An alarm for each of `watched`, metrics of `namespace`: the topic hears when it rings, and when it is over."""
    topic = FoundationOutputs.of(stack).alarms
    for one in watched:
        name = naming.account_wide(stack.environment, one.name)
        aws.cloudwatch.MetricAlarm(
            one.name,
            name=name,
            alarm_description=one.says,
            alarm_actions=[topic],
            ok_actions=[topic],
            namespace=namespace,
            metric_name=one.metric,
            dimensions=dimensions,
            statistic=one.statistic,
            comparison_operator="LessThanThreshold" if one.below else "GreaterThanThreshold",
            threshold=one.threshold,
            period=one.period,
            evaluation_periods=one.periods,
            treat_missing_data="missing",
            tags=naming.tags(stack.environment, stack=stack.name),
            opts=provider.options(stack, parent=parent),
        )
