"""Dask, behind a thin interface: single machine first, a cluster when there is one."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import re
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from leandata.errors import ComputeError

if TYPE_CHECKING:
    from distributed import Client

IN_PROCESS = "in-process"
_OURS = frozenset({"leandata"})


class Compute(Protocol):
    """What work is spread over: `map` calls a function with each item and gives the results in their order; `call`
    gives what the task `package.module:name` gives, which gets the compute first and then `arguments`."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]: ...

    def call(self, name: str, **arguments: Any) -> Any: ...


class InProcess:
    """The same work in this process, one item after the other."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return [function(item) for item in items]

    def call(self, name: str, **arguments: Any) -> Any:
        """What the task gives, whose code has to be here."""
        return function(name)(self, **arguments)


class Cluster:
    """Work spread over the workers of a Dask cluster."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(self.client.gather(self.client.map(function, list(items), pure=False)))  # pyright: ignore

    def call(self, name: str, **arguments: Any) -> Any:
        """What the task `package.module:name` gives, which runs on a worker with this cluster to spread its work over.

        Its code is in the workers' image, and need not be in the caller's. Raises what the task raises.
        """
        return self.client.submit(run_task, name, arguments, pure=False).result()  # pyright: ignore


def run_task(name: str, arguments: Mapping[str, Any]) -> Any:
    """On a worker: call the task with the worker's own cluster; meanwhile the worker's thread is free for others."""
    from distributed import worker_client

    with worker_client() as client:
        return function(name)(Cluster(client), **arguments)


@contextlib.contextmanager
def joblib_on(compute: Compute) -> Generator[None]:
    """Within it joblib's calls (scikit-learn's with `n_jobs=-1`) run on the compute's workers, or in this process.

    There one after the other: single machine first, and the same results.
    """
    from joblib import parallel_config

    chosen = (
        {"backend": "dask", "client": compute.client} if isinstance(compute, Cluster) else {"backend": "sequential"}
    )
    with parallel_config(**chosen):  # pyright: ignore
        yield


@contextlib.contextmanager
def connect(address: str, *, timeout: float = 30.0) -> Generator[Compute]:
    """A cluster's compute, or this process where the address is "in-process".

    Raises ComputeError as `open_client` does.
    """
    if address == IN_PROCESS:
        yield InProcess()
        return
    client = open_client(address, timeout=timeout)
    try:
        yield Cluster(client)
    finally:
        client.close()


def open_client(address: str, *, timeout: float = 30.0) -> Client:
    """A client of the cluster, for whoever opens it to close.

    Raises ComputeError without an address (Dask would silently start a cluster of its own), when the scheduler does
    not answer within `timeout` seconds, and when client, scheduler and workers hold a package in several versions.
    """
    if not address:
        hint = f"Set LEANDATA_DASK, such as tcp://127.0.0.1:8786, or {IN_PROCESS}"
        raise ComputeError("no Dask scheduler was named", hint=hint)
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # it counts what only one side has: see `differing`
            client = Client(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ComputeError(f"the Dask scheduler does not answer: {error}", where=address) from error
    try:
        _await_worker(client, address, timeout=timeout)
        refuse_differing(client, address)
    except BaseException:
        client.close()
        raise
    return client


def installed() -> dict[str, str]:
    """Every distribution that this Python sees, by its normalised name, with its version; our own code apart."""
    found: dict[str, str] = {}
    for one in importlib.metadata.distributions():  # the first on the path is the one that is imported
        found.setdefault(_normal(str(one.metadata["Name"])), one.version)
    return {name: found[name] for name in sorted(found) if name not in _OURS}


def fingerprint(packages: Mapping[str, str]) -> str:
    """One name, of 16 characters, for these versions of these packages."""
    text = "\n".join(f"{name}=={version}" for name, version in sorted(packages.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differing(found: Mapping[str, Any]) -> list[str]:
    """The packages of which client, scheduler and workers have several versions, sorted; `found` as Dask gives it.

    A package that one of them lacks is no difference: images hold what their service needs, and no more.
    """
    sides: list[Mapping[str, Any]] = [found["client"], found["scheduler"], *found["workers"].values()]
    known: dict[str, set[str]] = {}
    for side in sides:
        for name, version in side["packages"].items():
            known.setdefault(name, set()).update([str(version)] if version else [])
    return [f"{name}: {', '.join(sorted(versions))}" for name, versions in sorted(known.items()) if len(versions) > 1]


def refuse_differing(client: Client, address: str) -> None:
    """Raise ComputeError where a distribution that the client or a worker has is another one elsewhere."""
    try:
        theirs: Mapping[str, Mapping[str, str]] = client.run(installed)  # pyright: ignore
    except (AttributeError, ImportError) as error:
        hint = "Deploy the service dask of this commit"
        raise ComputeError(f"the workers run other code: {error}", where=address, hint=hint) from error
    names = {name for packages in (installed(), *theirs.values()) for name in packages}
    found: Any = client.get_versions(packages=sorted(names))  # pyright: ignore
    if different := differing(found):
        raise ComputeError("client, scheduler and workers differ", where=address, hint="; ".join(different))


def _normal(name: str) -> str:
    """A distribution's name as the index of packages compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _await_worker(client: Client, address: str, *, timeout: float) -> None:
    try:
        client.wait_for_workers(1, timeout=timeout)  # pyright: ignore
    except TimeoutError as error:
        raise ComputeError("the Dask cluster has no worker", where=address, hint="Look at `make status`") from error


def function(name: str) -> Callable[..., Any]:
    """The function that `package.module:name` names: how a pipeline calls a task without importing its service.

    Raises ComputeError when there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ComputeError(f"there is no task {name!r}: {error}", hint="Name it package.module:function") from error
