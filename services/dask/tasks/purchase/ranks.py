"""A function as the ranks of one torch.distributed group, each on a Dask worker of its own.

Rank 0 opens a store on its own worker, at a port that the machine chooses, and tells the others by a variable of the
cluster where it is; the collective calls go from worker to worker by gloo (CPU).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from leandata.compute import Cluster, Compute
from leandata.errors import ComputeError

INSTALL = "uv pip install -r services/dask/pytorch/requirements.txt"
_LOOK_SECONDS = 1.0
SILENCE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rank:
    """Which of how many ranks a function runs as."""

    number: int
    size: int


def torch() -> Any:
    """The library. Raises ComputeError with the command that installs it."""
    try:
        import torch as found  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        hint = f"It is an extra (services/dask/README.md): {INSTALL}"
        raise ComputeError(f"PyTorch is not installed here: {error}", hint=hint) from error
    return found


def run(
    compute: Compute,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    ranks: int,
    silence: timedelta = SILENCE,
) -> list[Any]:
    """What `function(rank, **arguments)` gives as each rank, in their order.

    On a cluster each rank is a task on a worker of its own; in one process there is one rank, and no group. Raises
    ComputeError where there are too few workers, where a rank fails, where a worker dies, and where one says nothing
    for `silence`: no rank is tried again, for the others have lost it.
    """
    if not isinstance(compute, Cluster):
        if ranks != 1:
            raise ComputeError(f"one process is one rank, not {ranks}", hint="Name a Dask cluster in LEANDATA_DASK")
        return [function(Rank(number=0, size=1), **arguments)]
    from distributed import Variable

    client: Any = compute.client
    workers = _chosen(client, ranks)
    told = client.scatter([dict(arguments)], workers=workers, broadcast=True)[0]
    name = f"torch-{uuid.uuid4().hex}"
    options: dict[str, Any] = {"pure": False, "allow_other_workers": False, "retries": 0}
    futures = [
        client.submit(_as_rank, function, Rank(number=at, size=ranks), told, name, silence, workers=[worker], **options)
        for at, worker in enumerate(workers)
    ]
    try:
        _watch(client, futures, workers)
        return list(client.gather(futures))
    finally:
        client.cancel([*futures, told], force=True)
        Variable(name, client=client).delete()


def _chosen(client: Any, ranks: int) -> list[str]:
    known = _workers(client)
    if not 0 < ranks <= len(known):
        raise ComputeError(f"{ranks} ranks need as many workers, there are {len(known)}", hint="Ask for fewer ranks")
    return known[:ranks]


def _workers(client: Any) -> list[str]:
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


def _watch(client: Any, futures: Sequence[Any], workers: Sequence[str]) -> None:
    """Wait until every rank is done. Raises ComputeError as soon as one has failed or its worker is gone."""
    from distributed import wait

    pending = set(futures)
    while pending:
        with client.as_current(), contextlib.suppress(TimeoutError):
            done: Any = wait(list(pending), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
            pending = done.not_done
        there = _workers(client)
        for at, (future, worker) in enumerate(zip(futures, workers, strict=True)):
            if worker not in there and future.status != "finished":
                raise ComputeError(f"the worker of rank {at} died, the run ends", where=worker, hint="Run it again")
        for at, (future, worker) in enumerate(zip(futures, workers, strict=True)):
            if future.status in ("error", "lost", "cancelled"):
                why = " ".join(str(future.exception()).split())[:300] if future.status == "error" else future.status
                hint = "Where a peer closed the connection, its worker died"
                raise ComputeError(f"rank {at} failed: {why}", where=worker, hint=hint)


def _as_rank(
    function: Callable[..., Any], rank: Rank, arguments: Mapping[str, Any], name: str, silence: timedelta
) -> Any:
    """On a worker: join the group, run, leave it."""
    with _group(rank, name, silence):
        return function(rank, **arguments)


@contextlib.contextmanager
def _group(rank: Rank, name: str, silence: timedelta) -> Generator[None]:
    from distributed import Variable, get_client, get_worker

    group = torch().distributed
    place: Any = Variable(name, client=get_client())
    if rank.number == 0:
        host = get_worker().address.split("://")[-1].rpartition(":")[0]
        store = group.TCPStore(host, 0, rank.size, is_master=True, timeout=silence, wait_for_workers=False)
        place.set([host, store.port])
    else:
        host, port = place.get(timeout=silence.total_seconds())
        store = group.TCPStore(host, port, rank.size, is_master=False, timeout=silence)
    group.init_process_group("gloo", store=store, rank=rank.number, world_size=rank.size, timeout=silence)
    try:
        yield
    finally:
        group.destroy_process_group()
