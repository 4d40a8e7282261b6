"""Names, labels and tags: each from one function, so that everything is found again."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from infra.components.manifest import ServiceManifest
from infra.environment import ROOT, Environment
from leandata.errors import SettingsError

STANDINS = "standins"
SYSTEM = "system"
SERVICES_ON_AWS = "172.20.0.0/16"  # the addresses of Kubernetes' Services
NAMES_ON_AWS = "172.20.0.10/32"  # and among them the one that answers for names
_STANDIN_PROCESSES = frozenset({"lake", "mail", "mail-web", "postgres", "warehouse"})
_SECOND_PORTS = {"dask-dashboard": "dask-scheduler", "mail-web": "mail"}
_NOT_DNS = re.compile(r"[^a-z0-9-]+")


@functools.cache
def services(root: Path = ROOT) -> dict[str, ServiceManifest]:
    """The manifest of every service, by name, sorted."""
    found = sorted(path.parent.name for path in (root / "services").glob("*/service.toml"))
    return {name: ServiceManifest.load(name, root=root) for name in found}


def home(process: str, *, root: Path = ROOT) -> str:
    """The service that `process` belongs to, "standins" for what stands in for a paid service, else "system"."""
    if process in _STANDIN_PROCESSES:
        return STANDINS
    for name, manifest in services(root).items():
        if process == name or any(process == found.name for found in manifest.process):
            return name
        if process.startswith(f"{name}-"):
            return name
    return SYSTEM


def namespace(environment: Environment, owner: str) -> str:
    """The Kubernetes namespace of a service, or of "standins" or "system". Raises SettingsError without Kubernetes."""
    return f"{_kubernetes(environment)}{owner}"


def host(environment: Environment, process: str) -> str:
    """The name under which `process` is reached inside the cluster."""
    return f"{process}.{namespace(environment, home(process, root=environment.root))}.svc"


def process_of(port: str) -> str:
    """The process that listens on the port of that name: its own, or that of a process with several."""
    return _SECOND_PORTS.get(port, port)


def ports(environment: Environment, process: str) -> dict[str, int]:
    """The ports that `process` listens on, by name, sorted; none where the environment's file gives it none."""
    return {
        name: environment.port(name) for name in sorted(environment.file.ports.offsets) if process_of(name) == process
    }


def callers(environment: Environment, process: str) -> list[str]:
    """The services that open connections to `process`, sorted."""
    return [name for name, found in services(environment.root).items() if process in found.network.calls]


def account_wide(environment: Environment, *parts: str) -> str:
    """A name that is unique in a whole account: leandata-<environment>-<parts>."""
    return "-".join(("leandata", environment.name, *parts))


@dataclass(frozen=True, kw_only=True, slots=True)
class StateBucket:
    """Where the engine keeps the state of a cloud environment, and the key that encrypts the secrets in it."""

    bucket: str
    alias: str
    region: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}?region={self.region}"

    @property
    def secrets_provider(self) -> str:
        return f"awskms:///{self.alias}?region={self.region}"


def state_bucket(environment: Environment) -> StateBucket | None:
    """The bucket and the key that the bootstrap makes; None where the state lies in the environment's own folder."""
    aws = environment.file.aws
    if aws is None:
        return None
    name = account_wide(environment, "state")
    return StateBucket(bucket=f"{name}-{aws.account}", alias=f"alias/{name}", region=aws.region)


def database_secret(role: str) -> str:
    """The secret that holds the password of a database role."""
    return f"database-{role.replace('_', '-')}"


def secret_homes(environment: Environment, secret: str) -> list[str]:
    """Whose namespaces a secret is put into, sorted: a role's password where its role is used, else where it is made.

    What opens the compute cluster or mail is for those who call it as well.
    """
    known = services(environment.root)
    if secret.startswith("database-"):
        users = [name for name, found in known.items() if secret in map(database_secret, found.data.database.roles)]
        return sorted(
            {*users, STANDINS, SYSTEM} if environment.substrate("database") == "machine" else {*users, SYSTEM}
        )
    if secret.startswith("warehouse-"):
        return [secret.removeprefix("warehouse-")]
    place = home(secret, root=environment.root)
    shared = {"dask-": "dask-scheduler", "mail-": "mail"}
    called = [callers(environment, process) for start, process in shared.items() if secret.startswith(start)]
    more = [name for names in called for name in names]
    return sorted({*more} if place == SYSTEM and more else {place, *more})


def owner(environment: Environment, service: str) -> tuple[str, str]:
    """Who owns what belongs to `service`, and who pays: by its manifest, else by the environment's file."""
    manifest = services(environment.root).get(service)
    if manifest is None:
        return environment.file.owner, environment.file.cost_centre
    return manifest.owner, manifest.cost_centre


def labels(environment: Environment, *, stack: str, service: str) -> dict[str, str]:
    """The labels of a Kubernetes object."""
    team, centre = owner(environment, service)
    return {
        "app.kubernetes.io/managed-by": "leandata",
        "app.kubernetes.io/part-of": service,
        "leandata.io/cost-centre": _NOT_DNS.sub("-", centre.lower()),
        "leandata.io/environment": environment.name,
        "leandata.io/owner": _NOT_DNS.sub("-", team.lower()),
        "leandata.io/stack": stack,
    }


def tags(environment: Environment, *, stack: str, service: str = "") -> dict[str, str]:
    """The tags of an AWS resource."""
    team, centre = owner(environment, service or stack)
    return {
        "cost-centre": centre,
        "environment": environment.name,
        "managed-by": "leandata",
        "owner": team,
        "service": service or stack,
        "stack": stack,
    }


def _kubernetes(environment: Environment) -> str:
    if environment.file.kubernetes is None:
        place = f"infra/environments/{environment.name}.toml"
        raise SettingsError("the environment has no Kubernetes", where=place, hint="Add the table [kubernetes]")
    return environment.file.kubernetes.prefix
