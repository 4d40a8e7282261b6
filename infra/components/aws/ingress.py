"""The way in: one load balancer for all pages, where people prove who they are before a request reaches a pod."""

import json
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components import naming
from infra.components.aws.place import table
from infra.components.kubernetes import provider
from infra.components.manifest import ProcessManifest
from infra.components.stack import Stack
from infra.environment import Environment
from leandata.proxies import PROXY_IDLE_SECONDS

CLASS = "alb"
LOGIN = "login"
_GROUP = "eks.amazonaws.com"
_AUTO_MODE = "eks:managed"  # the group of Auto Mode's own controllers
_PREFIX = "alb.ingress.kubernetes.io/"
_TLS = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
_SESSION_SECONDS = 8 * 3600


def annotations(stack: Stack, process: str, open_to: str) -> dict[str, str]:
    """What the load balancer is told of one page, which people or programs may open.

    People log in by OpenID Connect first; programs bring a key that the service itself asks for.
    """
    made = {
        "healthcheck-path": _health(stack.environment, process),
        "listen-ports": json.dumps([{"HTTPS": 443}]),
        "ssl-policy": _TLS,
        "target-group-attributes": "deregistration_delay.timeout_seconds=30",
        "target-type": "ip",
    }
    if open_to == "people":
        made |= _login(stack.environment)
    return {f"{_PREFIX}{name}": value for name, value in sorted(made.items())}


def make_ingress_class(parent: pulumi.Resource, *, stack: Stack) -> None:
    """The class of our load balancer, its right to read who logs people in, and the switch of network policies.

    Without that switch Auto Mode takes network policies and enforces none.
    """
    options = provider.options(stack, parent=parent)
    labels = naming.labels(stack.environment, stack=stack.name, service=naming.SYSTEM)
    kubernetes.core.v1.ConfigMap(
        "network-policies",
        metadata={"labels": labels, "name": "amazon-vpc-cni", "namespace": "kube-system"},
        data={"enable-network-policy-controller": "true"},
        opts=options,
    )
    parameters = kubernetes.apiextensions.CustomResource(
        "ingress-parameters",
        api_version=f"{_GROUP}/v1",
        kind="IngressClassParams",
        metadata={"labels": labels, "name": CLASS},
        spec=parameters_of(stack),
        opts=options,
    )
    spec: Any = {
        "controller": f"{_GROUP}/alb",
        "parameters": {"apiGroup": _GROUP, "kind": "IngressClassParams", "name": CLASS},
    }
    kubernetes.networking.v1.IngressClass(
        "ingress-class",
        metadata={"labels": labels, "name": CLASS},
        spec=spec,
        opts=provider.options(stack, parent=parent, needs=[parameters]),
    )
    for owner, manifest in naming.services(stack.environment.root).items():
        if manifest.network.open_to == "people":
            _let_read_login(parent, stack, owner)


def parameters_of(stack: Stack) -> dict[str, Any]:
    """The spec of the load balancer that all pages share.

    It names no tags: with any, Auto Mode needs rights over every load balancer of the account to make this one.
    """
    environment = stack.environment
    attributes = {
        "deletion_protection.enabled": "true",
        "idle_timeout.timeout_seconds": str(PROXY_IDLE_SECONDS),
        "routing.http.drop_invalid_header_fields.enabled": "true",
    }
    return {
        "certificateARNs": [table(environment).login.certificate],
        "group": {"name": naming.account_wide(environment)},
        "ipAddressType": "ipv4",
        "loadBalancerAttributes": [{"key": key, "value": value} for key, value in sorted(attributes.items())],
        "scheme": "internet-facing",
    }


def _login(environment: Environment) -> dict[str, str]:
    login = table(environment).login
    said = {
        "authorizationEndpoint": login.authorization,
        "issuer": login.issuer,
        "secretName": LOGIN,
        "tokenEndpoint": login.token,
        "userInfoEndpoint": login.user_info,
    }
    return {
        "auth-idp-oidc": json.dumps(said, sort_keys=True),
        "auth-on-unauthenticated-request": "authenticate",
        "auth-scope": "openid email",
        "auth-session-timeout": str(_SESSION_SECONDS),
        "auth-type": "oidc",
    }


def _health(environment: Environment, process: str) -> str:
    manifest = naming.services(environment.root).get(naming.home(process, root=environment.root))
    known: dict[str, ProcessManifest] = {one.name: one for one in manifest.process} if manifest else {}
    health = known[process].health if process in known else ""
    return health if health.startswith("/") else "/"


def _let_read_login(parent: pulumi.Resource, stack: Stack, owner: str) -> None:
    """Auto Mode's controller may read the one secret `login` in the namespace of `owner`, as its documentation asks."""
    name = f"{LOGIN}-{owner}"
    metadata: Any = provider.metadata(stack, LOGIN, owner=owner)
    options = provider.options(stack, parent=parent)
    rule: Any = {"apiGroups": [""], "resourceNames": [LOGIN], "resources": ["secrets"], "verbs": ["get"]}
    kubernetes.rbac.v1.Role(name, metadata=metadata, rules=[rule], opts=options)
    role: Any = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": LOGIN}
    group: Any = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": _AUTO_MODE}
    kubernetes.rbac.v1.RoleBinding(name, metadata=metadata, role_ref=role, subjects=[group], opts=options)
