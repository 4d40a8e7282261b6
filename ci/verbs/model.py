"""`model`: the versions of the purchase model; another one made current, or the last one taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime

from ci.cli import Options, emit
from infra.environment import Environment
from leandata.errors import LeandataError
from leandata.models import SERVED, Registry, Version


def model(options: Options) -> int:
    """List the versions, or make another one current; predictions follow with the next run of train_model."""
    from ci.bootstrap import pulumi_path
    from ci.engine import Engine

    environment = Environment.current()
    place = Engine(environment=environment, pulumi=pulumi_path()).outputs("lake").get("models")
    if not place:
        raise LeandataError("there is no lake yet", where=environment.name, hint="Run `make deploy`")
    registry = Registry(place, model=SERVED)
    return done(options, registry, now=datetime.now(UTC))


def done(options: Options, registry: Registry, *, now: datetime) -> int:
    """Do what was asked in that registry and say what came of it. Raises LeandataError."""
    if bool(options.promote) and options.rollback:
        raise LeandataError("one thing is done at a time", hint="PROMOTE=version or ROLLBACK=yes")
    run = f"by-hand-{now:%Y%m%dT%H%M%S}"
    changed = None
    if options.promote:
        changed = registry.promote(options.promote, run=run)
    elif options.rollback:
        changed = registry.rollback(run=run)
    versions = registry.versions()
    if options.json:
        emit({"changed": changed.version if changed else "", "versions": [dataclasses.asdict(one) for one in versions]})
    else:
        print("\n".join(lines(versions)))
        if changed:
            print(f"{changed.version} is current. `make run PIPELINE=train_model` predicts with it now.")
    return 0


def lines(versions: Sequence[Version]) -> list[str]:
    """A line for each version, the newest last, with what it saves against the best baseline."""
    if not versions:
        return ["No model was trained yet. `make run PIPELINE=train_model` does it."]
    return [
        f"{one.version:<28} {one.trained_on}  {one.state:<9} AUC {one.card['auc']['gradient boosting']:.4f}"
        f"  saves {one.card['gain'][0]:.5f} nats against {one.card['best_baseline']}{_lived(one)}"
        for one in versions
    ]


def _lived(version: Version) -> str:
    """How the version's predictions held when their four weeks were over; "" before that."""
    live = version.card.get("live")
    if not live:
        return ""
    if live["why_not"]:
        return f"  live of {live['as_of']}: {live['why_not']}"
    verdict = "OFF" if live["off"] else "holds"
    return f"  live of {live['as_of']}: {verdict}, predicted {live['predicted']:.4f}, {live['observed']:.4f} ordered"
