"""The Dask cluster as Airflow's scheduler sees it: every question to it is answered within seconds, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from leandata import compute
from leandata.errors import ComputeError
from pipelines.executor import worker
from pipelines.executor.worker import RESOURCE, Order

if TYPE_CHECKING:
    from distributed import Client, Future

_SECONDS = 5.0
_RUNNING, _ENDED, _FAILED = "pending", "finished", "error"


class Cluster(Protocol):
    """What runs orders; every method but `close` and `stop` raises ComputeError when the cluster does not answer."""

    def slots(self) -> int:
        """How many tasks the workers that are there now may run at a time."""
        ...

    def submit(self, order: Order, *, priority: int) -> None:
        """Run the order once, whoever asked for it may be gone by then."""
        ...

    def attach(self, key: str) -> bool:
        """Whether the order of that key runs now; then `outcome` is known of it. If not, it never will."""
        ...

    def outcome(self, key: str) -> str | None:
        """None while the order runs, "" once its process ended, and otherwise what became of it."""
        ...

    def stop(self, key: str) -> None:
        """End the order with all its processes, or see to it that it never starts."""
        ...

    def close(self) -> None:
        """Ask no more; what runs goes on."""
        ...


class DaskCluster:
    """A cluster whose workers hold the packages that this process holds."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self._futures: dict[str, Future[Any]] = {}
        self._workers = self._serving()

    @classmethod
    def connect(cls, address: str) -> DaskCluster:
        """The cluster at the scheduler's address. Raises ComputeError as `compute.open_client` does."""
        return cls(compute.open_client(address, timeout=_SECONDS), address)

    def slots(self) -> int:
        """See Cluster; workers that came since are compared with this process first."""
        found = self._serving()
        if found.keys() - self._workers.keys():
            compute.refuse_differing(self._client, self._address)
        self._workers = found
        return sum(found.values())

    def submit(self, order: Order, *, priority: int) -> None:
        from distributed import fire_and_forget

        self._refuse_closed()
        future: Any = self._client.submit(
            worker.run, order, key=order.key, pure=False, retries=0, resources={RESOURCE: 1}, priority=priority
        )
        fire_and_forget(future)
        self._futures[order.key] = future

    def attach(self, key: str) -> bool:
        from distributed import Future

        running = self._asked(self._client.scheduler.processing)  # pyright: ignore
        future = Future(key, self._client)
        if not any(key in keys for keys in running.values()):
            self._client.cancel([future], force=True)
            return False
        self._futures[key] = future
        return True

    def outcome(self, key: str) -> str | None:
        self._refuse_closed()
        future = self._futures[key]
        if future.status == _RUNNING:
            return None
        del self._futures[key]
        if future.status == _ENDED:
            return ""
        return str(future.exception()) if future.status == _FAILED else "the cluster knows nothing of it any more"

    def stop(self, key: str) -> None:
        future = self._futures.pop(key, None)
        if future is not None:
            self._client.cancel([future], force=True)
        self._client.run(worker.stop, key, wait=False)

    def close(self) -> None:
        self._client.close(timeout=_SECONDS)

    def _serving(self) -> dict[str, int]:
        """How many tasks each worker may run at a time, by its name at this moment, of those that run any."""
        found: dict[str, Any] = self._asked(self._client.scheduler.identity, n_workers=-1)["workers"]  # pyright: ignore
        offered = {one["id"]: int(one["resources"].get(RESOURCE, 0)) for one in found.values()}
        return {name: number for name, number in offered.items() if number}

    def _asked(self, question: Any, **arguments: Any) -> Any:
        self._refuse_closed()
        try:
            return self._client.sync(question, callback_timeout=_SECONDS, **arguments)
        except (OSError, TimeoutError) as error:
            raise ComputeError(f"the Dask scheduler does not answer: {error}", where=self._address) from error

    def _refuse_closed(self) -> None:
        """Raise ComputeError when the connection is lost: a client that comes back has forgotten all its futures."""
        if self._client.status != "running":
            raise ComputeError("the connection to the Dask scheduler is lost", where=self._address)
