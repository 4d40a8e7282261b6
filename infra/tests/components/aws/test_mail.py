"""Mail by a relay: the address that programs are given, and the right to send as our domain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import environment
from infra.components.aws import mail
from infra.components.mail import Mail
from infra.environment import Environment
from leandata.errors import SettingsError


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    return run(lambda stack: Mail("mail", stack=stack), stack="mail")


def with_relay(real: Environment, relay: str) -> Environment:
    told = real.file.mail.model_copy(update={"relay": relay})
    return replace(real, file=real.file.model_copy(update={"mail": told}))


def test_programs_are_told_user_relay_sender_and_where_the_password_lies(run: Any) -> None:
    seen: dict[str, str] = {}

    def declare(stack: Any) -> None:
        made = Mail("mail", stack=stack)
        made.address.apply(lambda text: seen.update(address=text))
        made.url.apply(lambda text: seen.update(url=text))

    run(declare, stack="mail")
    assert seen["address"] == (
        "smtp://leandata@email-smtp.eu-central-1.amazonaws.com:587"
        "?sender=platform@leandata.example&password_file=/run/secrets/leandata/mail-relay"
    )
    assert seen["url"] == "", "a relay shows its mails to nobody"


def test_the_password_is_a_secret_of_those_who_send(program: Program) -> None:
    kept = program.of("aws:secretsmanager/secret:Secret")["mail-relay"]
    assert kept.properties["name"] == "leandata/prod/mail-relay"
    assert kept.properties["tags"]["service"] == "airflow"


def test_amazon_sends_for_the_senders_domain_signed_and_over_tls_only(program: Program) -> None:
    [sender] = program.of("aws:sesv2/emailIdentity:EmailIdentity").values()
    assert sender.properties["emailIdentity"] == "leandata.example"
    assert sender.properties["dkimSigningAttributes"] == {"nextSigningKeyLength": "RSA_2048_BIT"}
    [rules] = program.of("aws:sesv2/configurationSet:ConfigurationSet").values()
    assert rules.properties["deliveryOptions"] == {"tlsPolicy": "REQUIRE"}
    assert sender.properties["configurationSetName"] == rules.properties["configurationSetName"] == "leandata-prod-mail"


def test_what_comes_back_rings_the_alarm(program: Program) -> None:
    [troubles] = program.of("aws:sesv2/configurationSetEventDestination:ConfigurationSetEventDestination").values()
    said = troubles.properties["eventDestination"]
    assert said["matchingEventTypes"] == ["BOUNCE", "COMPLAINT", "REJECT"]
    assert said["snsDestination"] == {"topicArn": "arn:aws:sns:eu-central-1:333333333333:alarms"}
    assert said["enabled"] is True


def test_another_relay_needs_nothing_of_amazon(run: Any) -> None:
    def declare(stack: Any) -> None:
        Mail("mail", stack=replace(stack, environment=with_relay(stack.environment, "smtp://us@relay.example:587")))

    program = run(declare, stack="mail")
    assert not [one for one in program.resources.values() if one.type.startswith("aws:ses")]
    assert "mail-relay" in program.of("aws:secretsmanager/secret:Secret")


@pytest.mark.parametrize(
    "relay",
    ["", "smtp://relay.example:587", "smtp://us@relay.example", "http://us@relay.example:25", "smtp://us@relay.example:x",
     "smtp://us:secret@relay.example:587"],
)  # fmt: skip
def test_a_relay_that_is_none_is_said_in_one_line(relay: str) -> None:
    with environment("prod") as prod, pytest.raises(SettingsError) as found:
        mail.relay(with_relay(prod, relay))
    assert "mail has no relay (infra/environments/prod.toml, mail.relay)" in str(found.value)
    assert "secret@" not in str(found.value)


def test_the_users_name_may_hold_signs_of_an_address() -> None:
    with environment("prod") as prod:
        told = with_relay(prod, "smtp://us%40team@relay.example:2587")
        assert mail.address(told, password="/p").startswith("smtp://us%40team@relay.example:2587?")
