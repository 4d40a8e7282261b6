"""Published predictions held against what customers did, four weeks later; a version that is off is withdrawn.

Two things together say that a version is off. Beyond noise: D. Spiegelhalter's z, "Probabilistic prediction in patient
management and clinical trials", Statistics in Medicine 5 (1986), beyond 3.29, which chance alone exceeds once in a
thousand times. And by enough to matter: predicted and observed orders of the tenths differ, added up, by at least a
quarter of the orders. With as many customers as ours the first alone would follow every good or bad month of trade.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.mail import Message, send
from leandata.models import Registry, Version
from leandata.settings import Settings
from pipelines.purchase import MODEL, PREDICTIONS, publish_scores
from pipelines.transform import collected_until

HORIZON = timedelta(days=28)
FEWEST = 1000
Z_LIMIT, ERROR_LIMIT = 3.29, 0.25
_TENTHS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What became of the predictions of a Monday: customers, the mean probability, the share who ordered, z, and the
    tenths' error as a share of the orders. `why_not` says why they cannot be judged, "" where they can."""

    as_of: str
    customers: int
    predicted: float
    observed: float
    z: float = 0.0
    error: float = 0.0
    why_not: str = ""

    @property
    def off(self) -> bool:
        return not self.why_not and abs(self.z) > Z_LIMIT and self.error >= ERROR_LIMIT


def judge(pairs: Sequence[tuple[float, bool]], *, as_of: date) -> Live:
    """Probabilities of an order beside whether there was one."""
    customers, buyers = len(pairs), sum(bought for _, bought in pairs)
    predicted = sum(chance for chance, _ in pairs) / max(customers, 1)
    known: dict[str, Any] = {"as_of": as_of.isoformat(), "customers": customers, "predicted": predicted}
    observed = buyers / max(customers, 1)
    if customers < FEWEST:
        return Live(**known, observed=observed, why_not=f"only {customers} predictions, {FEWEST} are needed")
    if buyers in (0, customers):
        why = f"the customers are of one class: {'all' if buyers else 'none'} ordered"
        return Live(**known, observed=observed, why_not=why)
    return Live(**known, observed=observed, z=spiegelhalter(pairs), error=error_of_tenths(pairs))


def spiegelhalter(pairs: Sequence[tuple[float, bool]]) -> float:
    """Spiegelhalter's z, standard normal where the probabilities are right; 0 where all are one half or certain."""
    excess = sum((bought - chance) * (1 - 2 * chance) for chance, bought in pairs)
    variance = sum((1 - 2 * chance) ** 2 * chance * (1 - chance) for chance, _ in pairs)
    return excess / math.sqrt(variance) if variance > 0 else 0.0


def error_of_tenths(pairs: Sequence[tuple[float, bool]]) -> float:
    """What predicted and observed orders differ by in each tenth by probability, added up, as a share of all orders."""
    ranked = sorted(pairs, key=lambda pair: pair[0])
    edges = [len(ranked) * number // _TENTHS for number in range(_TENTHS + 1)]
    tenths = [ranked[low:high] for low, high in itertools.pairwise(edges)]
    return sum(abs(sum(chance - bought for chance, bought in tenth)) for tenth in tenths) / sum(b for _, b in ranked)


def watch(settings: Settings, *, run: str, version: str) -> str:
    """Judge the newest published predictions whose four weeks are over; what came of it, as a sentence, "" for nothing.

    A version that is off is withdrawn: where it is current, the version before becomes current, and predictions follow
    with the next task. The owner is mailed once a version. A try that was killed is finished by the next one; one that
    is killed between mail and note mails again rather than never.
    """
    registry, until = Registry(settings.lake.models, model=MODEL), collected_until(settings)
    found = newest(settings, until=until)
    known = {one.version: one for one in registry.versions()}
    if found is not None and (one := known.get(found[0])) is not None:
        name, as_of, chances = found
        if one.card.get("live", {}).get("as_of", "") < as_of.isoformat():
            live = judge(outcomes(settings, chances, as_of=as_of), as_of=as_of)
            told = one.card.get("live", {}).get("off", False)  # once is enough, and it was withdrawn then
            note = {**asdict(live), "off": live.off, "mailed": told or not live.off, "shown": False}
            registry.note(name, note, withdraw=live.off, run=f"{run}-judged")
    return finish(settings, registry, until=until, run=run, version=version)


def finish(settings: Settings, registry: Registry, *, until: date, run: str, version: str) -> str:
    """Publish and mail what was noted and is not told of yet; the sentences."""
    versions = registry.versions()
    open_ = [one for one in versions if not one.card.get("live", {}).get("shown", True)]
    if not open_:
        return ""
    publish_scores(settings, versions, until=until, run=f"{run}-live", version=version)
    current = next((one.version for one in versions if one.state == "current"), "")
    said = [sentence(one, current=current) for one in open_]
    for number, (one, text) in enumerate(zip(open_, said, strict=True)):
        if not one.card["live"]["mailed"]:
            send(settings.mail, message(settings, one, text))
        registry.note(
            one.version, {**one.card["live"], "mailed": True, "shown": True}, withdraw=False, run=f"{run}-told{number}"
        )
    return "; ".join(said)


def newest(settings: Settings, *, until: date) -> tuple[str, date, dict[int, float]] | None:
    """The version, the Monday and the probabilities by customer of the newest predictions whose time is over."""
    lake, contract = Lake(settings.lake.curated), dataset(PREDICTIONS)
    for manifest in reversed(lake.manifests(contract)):
        rows: list[dict[str, Any]] = lake.read(manifest, contract).to_pylist()
        if rows and rows[0]["as_of"] + HORIZON <= until + timedelta(days=1):
            chances = {row["customer_id"]: float(row["probability"]) for row in rows}
            return rows[0]["model_version"], rows[0]["as_of"], chances
    return None


def outcomes(settings: Settings, chances: dict[int, float], *, as_of: date) -> list[tuple[float, bool]]:
    """Each probability beside whether the customer ordered within the four weeks from `as_of` on."""
    lake, contract = Lake(settings.lake.raw), dataset("shop.orders")
    days = {day: one for day, one in lake.latest(contract).items() if day and as_of <= day < as_of + HORIZON}
    bought = {who for one in days.values() for who in lake.read(one, contract).column("customer_id").to_pylist()}
    return [(chance, who in bought) for who, chance in sorted(chances.items())]


def sentence(version: Version, *, current: str) -> str:
    """What was found of a version, and what follows."""
    live = version.card["live"]
    head = f"{version.version} of {live['as_of']}"
    if live["why_not"]:
        return f"{head} cannot be judged: {live['why_not']}"
    figures = (
        f"{head} predicted {live['predicted']:.4f}, {live['observed']:.4f} ordered; z {live['z']:+.1f}"
        f" (limit {Z_LIMIT}), tenths off by {live['error']:.0%} of the orders (limit {ERROR_LIMIT:.0%})"
    )
    if not live["off"]:
        return f"{figures}: it holds"
    if version.state == "current":
        return f"{figures}: it is off, and stays current because there is no version before it"
    return f"{figures}: it is off and withdrawn; {current} is current"


def message(settings: Settings, version: Version, said: str) -> Message:
    """The mail to the owner."""
    text = f"{said}.\n\nVersions: make model LIST=yes. Take another one: make model PROMOTE=version.\n"
    subject = f"[{settings.environment}] the purchase model {version.version} is off"
    return Message(subject=subject, to=[settings.owner_mail], text=text)
