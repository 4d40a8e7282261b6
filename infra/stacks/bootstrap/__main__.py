"""What must be in an account before anything can be deployed into it: `python -m ci bootstrap` makes it, once."""

from __future__ import annotations

from infra.components.aws.money import Money
from infra.components.aws.pipeline import Pipeline
from infra.components.aws.state import State
from infra.components.stack import Stack
from infra.stacks.bootstrap.outputs import BootstrapOutputs

ONLY_ON = "aws"
BY_HAND = True


def program() -> None:
    """Declare where state lies, how CI comes in, and what a month may cost."""
    stack = Stack.begin("bootstrap")
    state = State("state", stack=stack)
    roles = Pipeline("pipeline", stack=stack, key=state.key).roles
    Money("budget", stack=stack)
    BootstrapOutputs(
        bucket=state.bucket,
        key=state.key,
        role_deploy=roles["deploy"],
        role_drift=roles["drift"],
        role_preview=roles["preview"],
    ).export()


if __name__ == "__main__":
    program()
