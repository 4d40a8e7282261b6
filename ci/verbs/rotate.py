"""`rotate`: a new key for a service user of the warehouse."""

from __future__ import annotations

from ci.cli import Options, emit
from ci.locks import hold
from ci.rotate import following, look, rotate
from ci.rotate_edges import edges_of
from infra.components import naming
from infra.components.snowflake.plan import user
from infra.environment import Environment
from leandata.errors import LeandataError


def rotated(options: Options) -> int:
    """Finish the rotation that was begun, or make a new one; with --dry say what the next step is."""
    environment = Environment.current()
    service = service_of(environment, options.user)
    edges = edges_of(environment, service)
    done: list[str] = []

    def said(sentence: str) -> None:
        done.append(sentence)
        if not options.json:
            print(f"{service}: {sentence}", flush=True)

    if options.dry:
        said(str(following(look(edges)) or "a new rotation would begin"))
    else:
        with hold(environment.state / "locks" / f"rotate-{service}.lock", what=f"the key of {service}"):
            rotate(edges, said=said)
    slots = edges.book.slots()
    if options.json:
        emit({"ok": True, "service": service, "steps": done, "active": slots.active})
    elif not options.dry:
        print(f"{service} uses slot {slots.active}; commit the file of public keys where it changed.")
    return 0


def service_of(environment: Environment, name: str) -> str:
    """The service that is meant: by its own name, or by that of its user. Raises LeandataError for a stranger."""
    known = {
        found: service
        for service, manifest in naming.services(environment.root).items()
        if manifest.data.warehouse.reads or manifest.data.warehouse.writes
        for found in (service, user(service))
    }
    if name not in known:
        hint = f"USER is one of: {', '.join(sorted(set(known.values())))}"
        raise LeandataError(f"no user of the warehouse is called {name!r}", where=environment.name, hint=hint)
    return known[name]
