"""The provider on the wire: the engine's protocol, spoken over a real connection."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from infra.provider.kinds.base import UNKNOWN, World
from infra.provider.servicer import serve


def urn(kind: str, name: str = "x") -> str:
    return f"urn:pulumi:local::lake::leandata:index:Lake$machine:index:{kind}::{name}"


def struct(**values: Any) -> struct_pb2.Struct:
    found = struct_pb2.Struct()
    found.update(values)
    return found


@pytest.fixture
def provider(tmp_path: Path) -> Generator[Any]:
    port, stop = serve()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Configure(pb.ConfigureRequest(args=struct(state=str(tmp_path / "state"), marker="m")))
        yield stub
    stop()


def test_a_resource_lives_its_life_over_the_wire(provider: Any, tmp_path: Path) -> None:
    inputs = struct(path=str(tmp_path / "f"), content="one", mode="0640")
    assert not provider.Check(pb.CheckRequest(urn=urn("File"), news=inputs)).failures
    made = provider.Create(pb.CreateRequest(urn=urn("File"), properties=inputs))
    assert made.id == str(tmp_path / "f")
    assert (tmp_path / "f").read_text() == "one"
    changed = struct(path=str(tmp_path / "f"), content="two", mode="0640")
    diff = provider.Diff(pb.DiffRequest(id=made.id, urn=urn("File"), olds=made.properties, news=changed))
    assert (list(diff.diffs), list(diff.replaces)) == (["content"], [])
    assert diff.detailedDiff["content"].kind == pb.PropertyDiff.UPDATE
    updated = provider.Update(pb.UpdateRequest(id=made.id, urn=urn("File"), olds=made.properties, news=changed))
    assert (tmp_path / "f").read_text() == "two"
    read = provider.Read(pb.ReadRequest(id=made.id, urn=urn("File"), properties=updated.properties, inputs=changed))
    assert json_format.MessageToDict(read.properties)["content"] == "two"
    provider.Delete(pb.DeleteRequest(id=made.id, urn=urn("File"), properties=updated.properties))
    assert not (tmp_path / "f").exists()
    gone = provider.Read(pb.ReadRequest(id=made.id, urn=urn("File"), properties=updated.properties, inputs=changed))
    assert gone.id == ""


def test_a_moved_path_replaces_and_the_old_one_goes_first(provider: Any) -> None:
    old, new = struct(path="/a", content="", mode="0640"), struct(path="/b", content="", mode="0640")
    diff = provider.Diff(pb.DiffRequest(id="/a", urn=urn("File"), olds=old, news=new))
    assert list(diff.replaces) == ["path"]
    assert diff.deleteBeforeReplace
    assert diff.detailedDiff["path"].kind == pb.PropertyDiff.UPDATE_REPLACE


def test_a_preview_makes_nothing_and_passes_on_what_it_does_not_know(provider: Any, tmp_path: Path) -> None:
    inputs = struct(path=str(tmp_path / "f"), content=UNKNOWN, mode="0640")
    foreseen = provider.Create(pb.CreateRequest(urn=urn("File"), properties=inputs, preview=True))
    assert json_format.MessageToDict(foreseen.properties)["content"] == UNKNOWN
    assert not (tmp_path / "f").exists()


def test_a_refusal_names_no_property_so_that_no_value_is_shown(provider: Any) -> None:
    answer = provider.Check(pb.CheckRequest(urn=urn("File"), news=struct(path="hunter2", content="", mode="0640")))
    assert [(failure.property, failure.reason) for failure in answer.failures] == [
        ("", "path must be an absolute path")
    ]


def test_an_error_is_one_line(provider: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        provider.Create(pb.CreateRequest(urn=urn("File"), properties=struct(path="/proc/x/f", content="", mode="0640")))
    assert caught.value.details().startswith("cannot write f: ")
    assert "\n" not in caught.value.details()


def test_an_unknown_kind_is_named(provider: Any) -> None:
    with pytest.raises(grpc.RpcError):
        provider.Check(pb.CheckRequest(urn=urn("Hologram"), news=struct()))


def test_importing_what_is_not_there_fails(provider: Any) -> None:
    with pytest.raises(grpc.RpcError, match=r"there is no .* '/nowhere' to import"):
        provider.Read(pb.ReadRequest(id="/nowhere", urn=urn("File")))


def test_a_secret_s_value_never_crosses_the_wire(provider: Any, tmp_path: Path) -> None:
    inputs = struct(path=str(tmp_path / "s"), kind="password")
    made = provider.Create(pb.CreateRequest(urn=urn("Secret"), properties=inputs))
    assert (tmp_path / "s").read_text() not in str(made)
    assert json_format.MessageToDict(made.properties)["fingerprint"]


@pytest.mark.integration
def test_a_half_made_resource_is_kept_with_its_reason(provider: Any, tmp_path: Path) -> None:
    inputs = struct(
        name="sick", command=["false"], env={}, secret_files={}, directory="/", start_timeout=10, memory_limit=0,
        health={"kind": "running", "url": "", "port": 0}, log_max_bytes=1000, log_backups=1, restart="always",
        stop_signal="TERM", stop_group=True, stop_timeout=2, priority=1, triggers={},
    )  # fmt: skip
    try:
        with pytest.raises(grpc.RpcError) as caught:
            provider.Create(pb.CreateRequest(urn=urn("Process"), properties=inputs))
        trailer = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
        status = status_pb2.Status.FromString(trailer)
        detail = pb.ErrorResourceInitFailed()
        assert status.details[0].Unpack(detail)
        assert detail.id == "sick"
        assert json_format.MessageToDict(detail.properties)["state"] == "unhealthy"
        assert "keeps ending" in detail.reasons[0]
    finally:
        World(state=tmp_path / "state").supervisor.shutdown()


@pytest.mark.integration
def test_creates_run_side_by_side(provider: Any, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    all_are_here = 'touch "$0/$1"; until [ "$(ls "$0" | wc -l)" -eq 6 ]; do sleep 0.05; done'

    def job(name: str) -> Any:
        properties = struct(
            name=name, command=["sh", "-c", all_are_here, str(here), name], env={}, secret_files={}, directory="/",
            triggers={}, timeout=60,
        )  # fmt: skip
        return provider.Create.future(pb.CreateRequest(urn=urn("Job", name), properties=properties))

    running = [job(f"j{number}") for number in range(6)]
    assert all(future.result(timeout=90).id for future in running)


@pytest.mark.integration
def test_the_plugin_ends_with_the_engine_that_started_it() -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'from infra.provider.plugin import main; main()'],"
        " stdout=subprocess.PIPE, text=True); print(p.stdout.readline().strip(), p.pid)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    port, pid = map(int, result.stdout.split())
    assert port > 0
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    alive = Path(f"/proc/{pid}/stat")
    assert not alive.exists() or alive.read_text().split()[2] == "Z" or os.getpid() == pid
