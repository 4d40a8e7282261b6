"""The way in: TLS only, people log in before a request reaches a pod, and network policies hold."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from ci.programs import Program
from ci.testing import environment, manifests
from infra.components.aws import ingress
from infra.components.stack import Stack
from leandata.proxies import KEEP_ALIVE_SECONDS

PREFIX = "alb.ingress.kubernetes.io/"


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    def declare(stack: Any) -> None:
        ingress.make_ingress_class(pulumi.ComponentResource("test:index:Parent", "parent"), stack=stack)

    return run(declare, stack="cluster")


def said_of(process: str, open_to: str) -> dict[str, str]:
    with environment("prod") as prod:
        found = ingress.annotations(Stack(name="dash", environment=prod), process, open_to)
    assert all(name.startswith(PREFIX) for name in found)
    return {name.removeprefix(PREFIX): value for name, value in found.items()}


@pytest.mark.parametrize("open_to", ["people", "programs"])
def test_every_page_is_served_over_tls_only(open_to: str) -> None:
    said = said_of("dash", open_to)
    assert json.loads(said["listen-ports"]) == [{"HTTPS": 443}]
    assert said["ssl-policy"] == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    assert said["target-type"] == "ip", "requests come to the pods, whose policies know the network"


def test_people_log_in_first() -> None:
    said = said_of("dash", "people")
    assert said["auth-type"] == "oidc"
    assert said["auth-on-unauthenticated-request"] == "authenticate"
    assert json.loads(said["auth-idp-oidc"]) == {
        "authorizationEndpoint": "https://login.leandata.example/authorize",
        "issuer": "https://login.leandata.example",
        "secretName": "login",
        "tokenEndpoint": "https://login.leandata.example/token",
        "userInfoEndpoint": "https://login.leandata.example/userinfo",
    }
    assert said["auth-session-timeout"] == "28800"


def test_programs_bring_their_key_and_do_not_log_in() -> None:
    assert not any(name.startswith("auth-") for name in said_of("api", "programs"))


@pytest.mark.parametrize(
    ("process", "path"), [("api", "/healthz"), ("dash", "/healthz"), ("airflow-api", "/execution/health"), ("x", "/")]
)
def test_the_load_balancer_asks_what_the_manifest_says(process: str, path: str) -> None:
    assert said_of(process, "people")["healthcheck-path"] == path


def test_what_auto_mode_refuses_is_said_nowhere() -> None:
    for open_to in ("people", "programs"):
        refused = {"group.name", "waf-acl-id", "web-acl-id", "shield-advanced-protection"}
        assert not refused & set(said_of("dash", open_to))


def test_all_pages_share_one_load_balancer_with_our_certificate(program: Program) -> None:
    found = manifests(program, "IngressClassParams")["alb"]
    assert found["apiVersion"] == "eks.amazonaws.com/v1"
    assert found["spec"]["group"] == {"name": "leandata-prod"}
    assert found["spec"]["scheme"] == "internet-facing"
    assert found["spec"]["certificateARNs"] == [
        "arn:aws:acm:eu-central-1:333333333333:certificate/00000000-0000-4000-8000-000000000003"
    ]
    assert {"key": "routing.http.drop_invalid_header_fields.enabled", "value": "true"} in (
        found["spec"]["loadBalancerAttributes"]
    )


def test_the_load_balancer_leaves_an_idle_connection_before_our_servers_do(program: Program) -> None:
    told = manifests(program, "IngressClassParams")["alb"]["spec"]["loadBalancerAttributes"]
    idle = int(next(one["value"] for one in told if one["key"] == "idle_timeout.timeout_seconds"))
    assert idle < KEEP_ALIVE_SECONDS


def test_the_class_is_that_of_auto_mode(program: Program) -> None:
    found = manifests(program, "IngressClass")["alb"]
    assert found["spec"] == {
        "controller": "eks.amazonaws.com/alb",
        "parameters": {"apiGroup": "eks.amazonaws.com", "kind": "IngressClassParams", "name": "alb"},
    }


def test_network_policies_are_enforced(program: Program) -> None:
    found = manifests(program, "ConfigMap")["amazon-vpc-cni"]
    assert found["metadata"]["namespace"] == "kube-system"
    assert found["data"] == {"enable-network-policy-controller": "true"}, "without it they are taken and ignored"


def test_auto_mode_reads_the_login_of_pages_for_people_and_no_other_secret(program: Program) -> None:
    roles = [one.properties for one in program.of("kubernetes:rbac.authorization.k8s.io/v1:Role").values()]
    assert sorted(role["metadata"]["namespace"] for role in roles) == ["leandata-airflow", "leandata-dash"]
    for role in roles:
        assert role["rules"] == [
            {"apiGroups": [""], "resourceNames": ["login"], "resources": ["secrets"], "verbs": ["get"]}
        ]
    bindings = [one.properties for one in program.of("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding").values()]
    assert len(bindings) == len(roles)
    for binding in bindings:
        [group] = binding["subjects"]
        assert (group["kind"], group["name"]) == ("Group", "eks:managed")
        assert binding["roleRef"]["name"] == "login"
