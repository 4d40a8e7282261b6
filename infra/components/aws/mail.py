"""Mail by a relay: with Amazon's own, the right to send as the sender's domain; its password is a secret file."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import provider
from infra.components.secret import Secret
from infra.components.stack import Stack
from infra.environment import Environment
from infra.stacks.foundation.outputs import FoundationOutputs
from leandata.errors import SettingsError

SECRET = "mail-relay"  # noqa: S105 - a name
_AMAZON = "email-smtp."
_TROUBLES = ("BOUNCE", "COMPLAINT", "REJECT")


def make(parent: pulumi.Resource, *, stack: Stack) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Where programs send mail to. There is no page on which people could look at it.

    The first password is random and opens nothing: a person puts that of the relay's user in its place, once.
    """
    password = Secret(SECRET, stack=stack, parent=parent).path
    host = relay(stack.environment)[1]
    needs = [_identity(parent, stack)] if host.startswith(_AMAZON) else []
    made: pulumi.Output[str] = pulumi.Output.all(password, *(one.urn for one in needs)).apply(
        lambda known: address(stack.environment, password=known[0])
    )
    return made, pulumi.Output.from_input("")


def relay(environment: Environment) -> tuple[str, str, int]:
    """User, host and port of the relay. Raises SettingsError when the environment's file names none."""
    parts = urlsplit(environment.file.mail.relay)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "smtp" or not parts.username or not parts.hostname or parts.password or port is None:
        place = f"infra/environments/{environment.name}.toml, mail.relay"
        raise SettingsError("mail has no relay", where=place, hint="It is smtp://USER@HOST:PORT, without a password")
    return unquote(parts.username), parts.hostname, port


def address(environment: Environment, *, password: str) -> str:
    """The address that programs are given: TLS before anything is said, and the file that holds the password."""
    user, host, port = relay(environment)
    sender = quote(environment.file.mail.sender, safe="@")
    return f"smtp://{quote(user, safe='')}@{host}:{port}?sender={sender}&password_file={quote(password)}"


def _identity(parent: pulumi.Resource, stack: Stack) -> pulumi.Resource:
    """The sender's domain as one that we may send from, over TLS only; what comes back rings the alarm."""
    environment = stack.environment
    tags = naming.tags(environment, stack=stack.name)
    options = provider.options(stack, parent=parent)
    rules = aws.sesv2.ConfigurationSet(
        "mail",
        configuration_set_name=naming.account_wide(environment, "mail"),
        delivery_options=aws.sesv2.ConfigurationSetDeliveryOptionsArgs(tls_policy="REQUIRE"),
        reputation_options=aws.sesv2.ConfigurationSetReputationOptionsArgs(reputation_metrics_enabled=True),
        suppression_options=aws.sesv2.ConfigurationSetSuppressionOptionsArgs(
            suppressed_reasons=["BOUNCE", "COMPLAINT"]
        ),
        tags=tags,
        opts=options,
    )
    topic = aws.sesv2.ConfigurationSetEventDestinationEventDestinationSnsDestinationArgs(
        topic_arn=FoundationOutputs.of(stack).alarms
    )
    aws.sesv2.ConfigurationSetEventDestination(
        "mail-troubles",
        configuration_set_name=rules.configuration_set_name,
        event_destination_name="troubles",
        event_destination=aws.sesv2.ConfigurationSetEventDestinationEventDestinationArgs(
            enabled=True, matching_event_types=list(_TROUBLES), sns_destination=topic
        ),
        opts=provider.options(stack, parent=rules),
    )
    return aws.sesv2.EmailIdentity(
        "mail",
        email_identity=environment.file.mail.sender.rpartition("@")[2],
        configuration_set_name=rules.configuration_set_name,
        dkim_signing_attributes=aws.sesv2.EmailIdentityDkimSigningAttributesArgs(
            next_signing_key_length="RSA_2048_BIT"
        ),
        tags=tags,
        opts=options,
    )
