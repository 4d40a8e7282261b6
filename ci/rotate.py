"""A new key for a service user, by its two slots: at every moment the key that the service holds is one that is taken.

The next step follows from what is there: the private key in use and the one that waits (`Vault`), the public keys on
file (`infra/keys`), and those that the account takes (`Directory`). Nothing else is remembered, so a rotation that is
interrupted anywhere goes on when the same command is run again.

    make a pair -> its public half into the free slot -> the account takes it -> log in with it -> the secret is
    switched -> the file says so -> everybody has read the new secret -> the other slot is cleared
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ci.keypairs import fingerprint, new_key, public
from infra.components.snowflake.keys import Number, Slots
from leandata.errors import LeandataError

_MOST_STEPS = 16
_OTHER: Mapping[Number, Number] = {1: 2, 2: 1}


class Step(Enum):
    """One step of a rotation; its value says what is done, with the slot in it."""

    MAKE = "make a new key pair"
    OFFER = "write the new public key into slot {} on file"
    REGISTER = "have the account take the key of slot {}"
    SWITCH = "log in with the new key, and make it the one that the service reads"
    RECORD = "write down that slot {} is in use"
    CLEAR = "log in with the key in use, and clear slot {}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Next:
    """A step, the slot it is about, and the public key that comes into it."""

    step: Step
    slot: Number | None = None
    key: str = ""

    def __str__(self) -> str:
        return self.step.value.format(self.slot)


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What is there: public keys as Snowflake takes them ("" for none), and what the account takes, by fingerprint."""

    current: str
    pending: str
    file: Slots
    taken: Mapping[Number, str]


class Vault(Protocol):
    """Where the private key lies that the service reads. Every method is done whole or not at all."""

    def current(self) -> str:
        """The private key in use (PEM), "" when there is none."""
        ...

    def pending(self) -> str:
        """The private key that waits, "" when none does; none waits that is in use already."""
        ...

    def stage(self, private: str) -> None:
        """Let this key wait, where the service does not read it."""
        ...

    def switch(self) -> None:
        """Make the key that waits the one in use."""
        ...


class Directory(Protocol):
    """The account: which keys of the user it takes."""

    def taken(self) -> Mapping[Number, str]:
        """The fingerprint in each slot, "" for none."""
        ...

    def put(self, slot: Number, key: str) -> None:
        """Take this public key in the slot; "" empties it."""
        ...

    def prove(self, private: str) -> None:
        """Log in with the private key. Raises LeandataError when the account refuses it."""
        ...


class Book(Protocol):
    """The file of public keys: what a deployment gives the account."""

    def slots(self) -> Slots:
        """The user's slots on file."""
        ...

    def write(self, slots: Slots) -> None:
        """Replace them."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Edges:
    """What a rotation works on. `settle` returns when everybody who read the old secret has read the new one.

    `make` makes a private key, `half` tells its public half.
    """

    vault: Vault
    directory: Directory
    book: Book
    settle: Callable[[], None] = lambda: None
    make: Callable[[], str] = new_key
    half: Callable[[str], str] = public


def following(found: Situation) -> Next | None:
    """The next step of a rotation that was begun; None when nothing is left to do.

    First of all the key in use has its slot, on file and at the account; what waits gets the other one.
    """
    slot = _slot_of(found.file, found.current)
    if found.current:
        if slot is None:
            return Next(step=Step.OFFER, slot=_home(found), key=found.current)
        if found.taken[slot] != fingerprint(found.current):
            return Next(step=Step.REGISTER, slot=slot)
        if found.file.active != slot:
            return Next(step=Step.RECORD, slot=slot)
    free = found.file.active if slot is None else _OTHER[slot]
    if found.pending:
        waiting = _slot_of(found.file, found.pending)
        if waiting is None:
            return Next(step=Step.OFFER, slot=free, key=found.pending)
        if found.taken[waiting] != fingerprint(found.pending):
            return Next(step=Step.REGISTER, slot=waiting)
        return Next(step=Step.SWITCH)
    if found.current and (found.file.slot(free) or found.taken[free]):
        return Next(step=Step.CLEAR, slot=free)
    return None


def _home(found: Situation) -> Number:
    """The slot for a key in use that is on no file: where the account has it, else not where another one waits."""
    for slot, taken in found.taken.items():
        if taken == fingerprint(found.current):
            return slot
    waiting = _slot_of(found.file, found.pending)
    if waiting is not None:
        return _OTHER[waiting]
    return found.file.idle if found.file.slot(found.file.active) else found.file.active


def rotate(edges: Edges, *, said: Callable[[str], None]) -> int:
    """Finish what was begun, or else make a new key and put it into use; how many steps were taken.

    Safe to interrupt, and to run again. Raises LeandataError where the account refuses a key: the service then still
    holds the old one.
    """
    for taken in range(_MOST_STEPS):
        found = look(edges)
        step = following(found)
        if step is None:
            if taken:
                return taken
            step = Next(step=Step.MAKE)
        said(str(step))
        _do(step, found, edges)
    raise LeandataError("somebody else changes the keys as well", hint="Wait for them, then try again")


def look(edges: Edges) -> Situation:
    """What is there now."""
    current, pending = edges.vault.current(), edges.vault.pending()
    return Situation(
        current=edges.half(current) if current else "",
        pending=edges.half(pending) if pending else "",
        file=edges.book.slots(),
        taken=edges.directory.taken(),
    )


def _do(step: Next, found: Situation, edges: Edges) -> None:
    slot = step.slot
    if step.step is Step.MAKE:
        edges.vault.stage(edges.make())
    elif step.step is Step.SWITCH:
        edges.directory.prove(edges.vault.pending())
        edges.vault.switch()
    elif slot is None:
        raise AssertionError(f"{step.step} is about a slot")
    elif step.step is Step.OFFER:
        edges.book.write(found.file.holding(slot, step.key))
    elif step.step is Step.REGISTER:
        edges.directory.put(slot, found.file.slot(slot))
    elif step.step is Step.RECORD:
        edges.book.write(found.file.using(slot))
    elif step.step is Step.CLEAR:
        edges.settle()
        edges.directory.prove(edges.vault.current())
        edges.book.write(found.file.holding(slot, ""))
        edges.directory.put(slot, "")


def _slot_of(slots: Slots, key: str) -> Number | None:
    numbers: tuple[Number, Number] = (1, 2)
    return next((number for number in numbers if key and slots.slot(number) == key), None)
