"""The advisory locks of the serving database: one number, one purpose."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class Lock(IntEnum):
    """Who holds one is alone with what it names. Numbers stay as they are: two releases may run side by side."""

    SCHEMA = 7205117
    QUALITY = 7205118
    RUNS = 7205119
    VOLUMES = 7205120
    HEALTH = 7205121
    BUILD = 7205122
    SPEND = 7205123
