"""The provider on the wire: Pulumi's resource provider protocol over the kinds.

The engine's protocol is served by threads, one a request, so resources of one stack are made in parallel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from infra.provider.kinds.aws import AwsSecretValue
from infra.provider.kinds.base import HalfMadeError, Kind, Properties, World, explain, unknown
from infra.provider.kinds.cluster import ClusterSecret
from infra.provider.kinds.files import Directory, File, RenderedSecret, Secret
from infra.provider.kinds.postgres import PostgresCluster, PostgresDatabase, PostgresGrants, PostgresRole
from infra.provider.kinds.processes import Job, Process
from infra.provider.kinds.warehouse import (
    WarehouseDatabase,
    WarehouseFileFormat,
    WarehouseSchema,
    WarehouseSql,
    WarehouseStage,
)
from leandata.errors import LeandataError

VERSION = "0.1.0"
_KINDS: tuple[type[Kind], ...] = (
    AwsSecretValue, ClusterSecret, Directory, File, Job, PostgresCluster, PostgresDatabase, PostgresGrants,
    PostgresRole, Process, RenderedSecret, Secret, WarehouseDatabase, WarehouseFileFormat, WarehouseSchema,
    WarehouseSql, WarehouseStage,
)  # fmt: skip
KINDS: dict[str, Kind] = {f"machine:index:{kind.__name__}": kind() for kind in _KINDS}
_THREADS = 16
_MESSAGE_BYTES = 400 * 2**20
_DIFFS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine. `world` may be given; else it comes with Configure, the same for all of an environment."""

    def __init__(self, world: World | None = None) -> None:
        self._world = world

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema='{"name": "machine", "version": "0.1.0"}')

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        state = _plain(request.args).get("state")
        if state:
            self._world = World(state=Path(str(state)))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Check(self, request: Any, context: Any) -> Any:
        reasons = _kind(request.urn).check(_plain(request.news))
        failures = [provider_pb2.CheckFailure(property="", reason=reason) for reason in reasons]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        changes = _kind(request.urn).changes(_plain(request.olds), _plain(request.news))
        detailed = {
            change.name: provider_pb2.PropertyDiff(kind=_DIFFS[change.kind, change.replaces], inputDiff=True)
            for change in changes
        }
        response = provider_pb2.DiffResponse
        return response(
            changes=response.DIFF_SOME if changes else response.DIFF_NONE,
            diffs=[change.name for change in changes],
            replaces=[change.name for change in changes if change.replaces],
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = _plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=_struct(_foreseen(inputs)))

        def create() -> Any:
            made = _kind(request.urn).create(self._here(), inputs)
            return provider_pb2.CreateResponse(id=made.id, properties=_struct(made.properties))

        return _answer(context, inputs, create)

    def Read(self, request: Any, context: Any) -> Any:
        known = _plain(request.properties)

        def read() -> Any:
            found = _kind(request.urn).read(self._here(), request.id, known) if known else None
            if found is None and not known:
                raise LeandataError(f"there is no {request.urn.split('::')[-2]} {request.id!r} to import")
            if found is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(id=request.id, properties=_struct(found), inputs=request.inputs)

        return _answer(context, known, read)

    def Update(self, request: Any, context: Any) -> Any:
        old, inputs = _plain(request.olds), _plain(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_struct({**old, **_foreseen(inputs)}))

        def update() -> Any:
            properties = _kind(request.urn).update(self._here(), request.id, old, inputs)
            return provider_pb2.UpdateResponse(properties=_struct(properties))

        return _answer(context, inputs, update)

    def Delete(self, request: Any, context: Any) -> Any:
        known = _plain(request.properties)

        def delete() -> Any:
            _kind(request.urn).delete(self._here(), request.id, known)
            return empty_pb2.Empty()

        return _answer(context, known, delete)

    def _here(self) -> World:
        if self._world is None:
            raise LeandataError("the provider was not configured with a state folder")
        return self._world


def serve(world: World | None = None) -> tuple[int, Callable[[], None]]:
    """Serve the provider on a free port of loopback: its port, and what stops it."""
    limits = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=_THREADS), options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(world), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stopped = threading.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            server.stop(grace=1).wait()

    return port, stop


def describe(type_: str, old: Properties, inputs: Properties) -> str:
    """What a change of a resource of this type amounts to, and why it is replaced if it is."""
    return explain(KINDS[type_].changes(old, inputs)) if type_ in KINDS else ""


def _kind(urn: str) -> Kind:
    type_ = urn.split("::")[2].rsplit("$", maxsplit=1)[-1]
    if type_ not in KINDS:
        raise LeandataError(f"the provider knows no {type_}", hint=f"It knows {', '.join(sorted(KINDS))}")
    return KINDS[type_]


def _answer(context: Any, inputs: Properties, act: Callable[[], Any]) -> Any:
    """The action's answer. An error is one line; a half-made resource stays known, so that the next update mends it."""
    try:
        return act()
    except HalfMadeError as error:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=error.id, properties=_struct(error.properties), inputs=_struct(inputs), reasons=[str(error)]
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
        status.details.add().Pack(detail)
        context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except LeandataError as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except OSError as error:
        context.abort(grpc.StatusCode.UNKNOWN, f"{error.strerror or error}: {error.filename or ''}".strip(": "))


def _foreseen(inputs: Properties) -> Properties:
    return {name: value for name, value in inputs.items() if value is not None}


def _plain(struct: Any) -> Properties:
    return json_format.MessageToDict(struct) if struct is not None else {}


def _struct(properties: Properties) -> Any:
    struct = struct_pb2.Struct()
    struct.update({name: value for name, value in properties.items() if value is not None})
    return struct


__all__ = ["KINDS", "Servicer", "describe", "serve", "unknown"]
