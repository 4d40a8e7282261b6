"""The settings of a Dask cluster in pods, with a real scheduler, worker and clients on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.components.kubernetes import compute
from infra.provider.kinds.files import MAKERS
from infra.testing.parts import eventually, free_port, running

pytestmark = pytest.mark.integration
ASK = """
import sys
from distributed import Client
client = Client(sys.argv[1], timeout=float(sys.argv[2]))
client.wait_for_workers(1, timeout=120)
print("answer", client.submit(sum, [40, 2]).result())
try:
    client.run_on_scheduler(print)
except Exception as error:
    print("refused:", error)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """A scheduler and one worker, `one`, that trust who holds `certificate`."""

    address: str
    page: str
    certificate: Path

    def ask(self, *, certificate: Path | None, seconds: int) -> str:
        """What a client with that certificate is told."""
        environ = told(certificate) if certificate else told_nothing()
        command = [sys.executable, "-W", "ignore", "-c", ASK, self.address, str(seconds)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
        return done.stdout or done.stderr

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of the scheduler, which is asked without a certificate."""
        try:
            with urllib.request.urlopen(f"{self.page}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""


def told_nothing() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}


def told(certificate: Path) -> dict[str, str]:
    secured = {name: str(value) for name, value in compute.secured(str(certificate)).items()}
    return {**told_nothing(), **secured, **compute.SCHEDULER_SETTINGS}


def with_settings(command: Sequence[str], certificate: Path) -> list[str]:
    settings = {name: value for name, value in told(certificate).items() if name.startswith("DASK_")}
    return ["env", *(f"{name}={value}" for name, value in settings.items()), *command]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    folder = tmp_path_factory.mktemp("dask")
    certificate = folder / "dask-tls"
    certificate.write_text(MAKERS["tls"]())
    port = free_port(count=2)
    made = Cluster(address=f"tls://127.0.0.1:{port}", page=f"http://127.0.0.1:{port + 1}", certificate=certificate)
    scheduler = [
        *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--host", "127.0.0.1"),
        *("--port", str(port), "--dashboard-address", f"127.0.0.1:{port + 1}", "--no-dashboard"),
    ]
    worker = [
        *(sys.executable, "-m", "distributed.cli.dask_worker", made.address, "--name", "one", "--nthreads", "1"),
        *("--memory-limit", "512MiB", "--no-nanny", "--no-dashboard", "--local-directory", str(folder)),
    ]
    with ExitStack() as stack:
        for command, log in ((scheduler, "scheduler.log"), (worker, "worker.log")):
            asked = with_settings(command, certificate)
            stack.enter_context(
                running(asked, ready=lambda: made.get("/health")[0] == 200, log=folder / log, seconds=180)
            )
        yield made


def test_who_holds_the_certificate_has_work_done(cluster: Cluster) -> None:
    assert "answer 42" in cluster.ask(certificate=cluster.certificate, seconds=120)


def test_even_then_no_function_is_run_on_the_scheduler_itself(cluster: Cluster) -> None:
    assert "refused: The 'run_function' handler" in cluster.ask(certificate=cluster.certificate, seconds=120)


def test_who_holds_another_certificate_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    other = tmp_path / "dask-tls"
    other.write_text(MAKERS["tls"]())
    assert "answer" not in cluster.ask(certificate=other, seconds=10)


def test_who_holds_none_is_refused(cluster: Cluster) -> None:
    assert "answer" not in cluster.ask(certificate=None, seconds=10)


def test_the_operator_can_ask_how_many_workers_are_wanted(cluster: Cluster) -> None:
    status, text = cluster.get("/api/v1/adaptive_target")
    assert status == 200
    assert "workers" in text


@pytest.mark.parametrize("page", ["/json/identity.json", "/info/main/workers.html", "/proxy/8787/x", "/status"])
def test_no_other_page_answers(cluster: Cluster, page: str) -> None:
    assert cluster.get(page)[0] == 404


def test_what_a_worker_runs_before_it_ends_makes_it_leave(cluster: Cluster) -> None:
    cluster.ask(certificate=cluster.certificate, seconds=120)
    own = {"DASK_SCHEDULER_ADDRESS": cluster.address, "DASK_WORKER_NAME": "one"}
    command = [sys.executable, "-W", "ignore", "-c", compute.RETIRE]
    done = subprocess.run(
        command, env={**told(cluster.certificate), **own}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    eventually(lambda: "dask_scheduler_workers" not in gone(cluster), seconds=60)


def gone(cluster: Cluster) -> str:
    """The lines of the scheduler's metrics that count workers which are there."""
    lines = cluster.get("/metrics")[1].splitlines()
    return "\n".join(line for line in lines if line.startswith("dask_scheduler_workers{") and not line.endswith(" 0.0"))
