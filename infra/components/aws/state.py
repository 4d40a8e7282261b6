"""Where the engine keeps what it made: a bucket that forgets nothing for a year, and a key for secrets in the state.

The engine's own locks lie in the same bucket, under `.pulumi/locks`.
"""

from __future__ import annotations

import pulumi

from infra.components import naming
from infra.components.aws import documents
from infra.components.aws.bucket import lives, make_bucket
from infra.components.aws.documents import Document
from infra.components.aws.keys import make_key
from infra.components.aws.place import place_of, table
from infra.components.stack import Stack
from infra.environment import Environment

_VERSION_DAYS = 365
_VERSIONS = 20


def named(environment: Environment) -> naming.StateBucket:
    """The names of bucket and key. Only for environments on AWS."""
    found = naming.state_bucket(environment)
    assert found is not None
    return found


def access_bucket(environment: Environment) -> str:
    """The bucket in which is written down who reached the state."""
    return f"{naming.account_wide(environment, 'state-access')}-{table(environment).account}"


def bucket_policy(environment: Environment) -> Document:
    """As for every bucket of ours; and no version of the state is deleted by hand, whoever asks."""
    name, place = named(environment).bucket, place_of(environment)
    kept = documents.statement(
        "VersionsStay", ["s3:DeleteObjectVersion"], [f"arn:{place.partition}:s3:::{name}/*"], effect="Deny"
    )
    statements = documents.bucket_policy(place, name)["Statement"]
    return documents.document([*statements, {**kept, "Principal": "*"}])


def access_policy(environment: Environment) -> Document:
    """As for every bucket of ours; and S3 may put into it who reached the state."""
    place = place_of(environment)
    source = f"arn:{place.partition}:s3:::{named(environment).bucket}"
    return documents.bucket_policy(place, access_bucket(environment), logs_from=source)


class State(pulumi.ComponentResource):
    """`bucket` is the bucket's name, `key` the ARN of the key."""

    bucket: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(self, name: str, *, stack: Stack) -> None:
        super().__init__("leandata:index:State", name)
        environment = stack.environment
        names, said = named(environment), table(environment)
        says = f"{environment.name}: the state of what is deployed"
        key = make_key(self, name, stack=stack, alias=names.alias, data="state", says=says)
        access = make_bucket(
            self,
            f"{name}-access",
            stack=stack,
            bucket=access_bucket(environment),
            data="logs",
            policy=access_policy(environment),
            rule=lives(days=said.lake.logs, old_days=said.lake.versions),
        )
        made = make_bucket(
            self,
            name,
            stack=stack,
            bucket=names.bucket,
            data="state",
            policy=bucket_policy(environment),
            rule=lives(old_days=_VERSION_DAYS, newest=_VERSIONS),
            key=key.arn,
            logs_to=access,
        )
        self.bucket, self.key = made.bucket, key.arn
        self.register_outputs({"bucket": self.bucket, "key": self.key})
