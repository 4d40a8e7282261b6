"""How a service connects to what is everybody's: as itself."""

from __future__ import annotations

import urllib.parse

import pulumi

from infra.components.kubernetes import pods
from infra.components.snowflake.plan import service_role, user
from infra.components.stack import Stack
from infra.environment import Environment


def address_of(stack: Stack, service: str, warehouse: pulumi.Input[str]) -> pulumi.Output[str]:
    """How a service connects to the warehouse at the address `warehouse`: as its own user, where it has one."""
    return pulumi.Output.from_input(warehouse).apply(lambda text: own_address(stack.environment, service, text))


def own_address(environment: Environment, service: str, warehouse: str) -> str:
    """On Snowflake with the service's user, role, key and warehouse; the stand-in knows nobody, and is as it is."""
    said = environment.file.snowflake
    if environment.substrate("warehouse") != "snowflake" or said is None:
        return warehouse
    options = {
        "role": service_role(service),
        "warehouse": said.serving("services"),
        "private_key_file": f"{pods.SECRETS}/warehouse-{service}",
    }
    account = urllib.parse.urlsplit(warehouse).netloc.rpartition("@")[2]
    return f"snowflake://{user(service)}@{account}?{urllib.parse.urlencode(options, safe='/')}"
