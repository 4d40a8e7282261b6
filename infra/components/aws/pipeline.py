"""How CI comes into the account: GitHub's tokens, and a role for each of preview, deploy and drift. No key is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import bounds, documents, provider, rights
from infra.components.aws.documents import Document
from infra.components.stack import Stack

ISSUER = "token.actions.githubusercontent.com"
_READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
_HOUR = 3600
_SECONDS = {"deploy": 2 * _HOUR, "drift": _HOUR, "preview": _HOUR}


class Pipeline(pulumi.ComponentResource):
    """`roles` are the ARNs by name. `key` is the ARN of the key that encrypts the state."""

    roles: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, *, stack: Stack, key: pulumi.Output[str]) -> None:
        super().__init__("leandata:index:Pipeline", name)
        self._stack = stack
        self._tags = naming.tags(stack.environment, stack=stack.name)
        issuer = aws.iam.OpenIdConnectProvider(
            "github",
            url=f"https://{ISSUER}",
            client_id_lists=["sts.amazonaws.com"],
            tags=self._tags,
            opts=provider.options(stack, parent=self),
        )
        bound = self._policy("boundary", bounds.boundary(stack.environment), says="The most that any role may do")
        made = {role: self._role(role, issuer=issuer, bound=bound, key=key) for role in rights.ROLES}
        for group, document in rights.deploy(stack.environment).items():
            policy = self._policy(f"deploy-{group}", document, says=f"What deploy may write: {group}")
            self._attach(f"deploy-{group}", made["deploy"], policy.arn)
        self.roles = {role: found.arn for role, found in made.items()}
        self.register_outputs({"roles": self.roles})

    def _role(
        self,
        role: str,
        *,
        issuer: aws.iam.OpenIdConnectProvider,
        bound: aws.iam.Policy,
        key: pulumi.Output[str],
    ) -> aws.iam.Role:
        environment = self._stack.environment
        trust = issuer.arn.apply(lambda arn: _text(rights.trust(environment, role, issuer=ISSUER, provider_arn=arn)))
        made = aws.iam.Role(
            role,
            name=naming.account_wide(environment, role),
            description=f"{role} of {environment.name}, by {rights.subject(environment, role)}",
            assume_role_policy=trust,
            max_session_duration=_SECONDS[role],
            permissions_boundary=provider.boundary(environment),
            tags=self._tags,
            opts=provider.options(self._stack, parent=self, needs=[bound]),
        )
        self._attach(f"{role}-reads", made, _READ_ONLY)
        own: Mapping[str, pulumi.Input[str]] = {
            "blind": _text(rights.blind(environment)),
            "state": key.apply(lambda arn: _text(rights.state(environment, role, key=arn))),
        }
        for name, policy in own.items():
            aws.iam.RolePolicy(
                f"{role}-{name}",
                name=name,
                role=made.name,
                policy=policy,
                opts=provider.options(self._stack, parent=made),
            )
        return made

    def _policy(self, name: str, document: Document, *, says: str) -> aws.iam.Policy:
        return aws.iam.Policy(
            name,
            name=naming.account_wide(self._stack.environment, name),
            description=says,
            policy=_text(document),
            tags=self._tags,
            opts=provider.options(self._stack, parent=self),
        )

    def _attach(self, name: str, role: aws.iam.Role, arn: pulumi.Input[str]) -> None:
        aws.iam.RolePolicyAttachment(
            name, role=role.name, policy_arn=arn, opts=provider.options(self._stack, parent=role)
        )


def _text(document: documents.Document) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True)
