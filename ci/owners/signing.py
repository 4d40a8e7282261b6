"""Whether every team that a risk needs has approved the current commit: AND across teams, not OR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.owners.teams import Teams
from ci.preview.model import RISKS
from leandata.errors import LeandataError

_DECIDING = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
_STATES = _DECIDING | {"COMMENTED", "PENDING"}
_COMMIT_DIGITS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """One review of a pull request: who, which state (GitHub's, in capitals), of which commit, when (ISO 8601)."""

    user: str
    state: str
    commit: str
    at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One risk of a preview, and the teams that must sign it, sorted."""

    kind: str
    stack: str
    name: str
    teams: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A risk with who signed for each team, and the teams whose signature is missing; all sorted."""

    row: Row
    by: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]


def reviews(answer: object) -> list[Review]:
    """GitHub's answer to `GET /pulls/N/reviews`, also several pages in one list. Raises LeandataError for another."""
    if not isinstance(answer, list):
        raise LeandataError(
            "the reviews are no list", hint="They are the answer of GET /repos/OWNER/NAME/pulls/N/reviews"
        )
    flat = [one for page in answer for one in (page if isinstance(page, list) else [page])]
    return [_review(one, number) for number, one in enumerate(flat)]


def _review(one: Any, number: int) -> Review:
    try:
        user = (one["user"] or {}).get("login", "")  # null: the account was deleted
        texts = [user, one["state"], one.get("commit_id") or "", one.get("submitted_at") or ""]
        login, state, commit, at = (str.strip(text) for text in texts)
    except (KeyError, TypeError, AttributeError) as error:
        raise LeandataError(f"review {number} lacks its user, state or commit", where="reviews") from error
    if state.upper() not in _STATES:
        raise LeandataError(f"review {number} is of no state that GitHub knows", where="reviews")
    return Review(user=login.lower(), state=state.upper(), commit=commit.lower(), at=at)


def rows(preview: object, *, owners: Sequence[Teams]) -> list[Row]:
    """The risks of a `preview.json`, each with the teams that it names itself and those that each of `owners` demands.

    A preview comes from the change that it shows: it may name more teams than the owners demand, never fewer.
    Raises LeandataError for a file that is no preview, a kind of risk or a team that nobody knows.
    """
    risks = preview.get("risks") if isinstance(preview, dict) else None
    if not isinstance(risks, list):
        raise LeandataError("the preview has no list of risks", hint="It is the preview.json that `preview` writes")
    found: list[Row] = []
    for number, risk in enumerate(risks):
        try:
            kind, stack, name, said = risk["kind"], str(risk["stack"]), str(risk["name"]), risk.get("teams") or []
        except (KeyError, TypeError, AttributeError) as error:
            raise LeandataError(f"risk {number} lacks its kind, stack or name", where="preview") from error
        if kind not in RISKS or not isinstance(said, list):
            raise LeandataError(f"risk {number} is of no kind that we know", where="preview")
        teams = {str(team) for team in said} | {team for one in owners for team in _signers(one, kind, stack, owners)}
        strange = sorted(team for team in teams if not any(team in one.teams for one in owners))
        if strange or not teams:
            raise LeandataError(f"risk {number} needs {strange[0] if strange else 'nobody'}, which is no team")
        found.append(Row(kind=kind, stack=stack, name=name, teams=tuple(sorted(teams))))
    return found


def _signers(one: Teams, kind: Any, stack: str, all_: Sequence[Teams]) -> tuple[str, ...]:
    """A stack that is new, or gone, has an owner on one side only; one that nobody knows is an error."""
    try:
        return one.signers(kind, stack)
    except LeandataError:
        if one is all_[-1] and not any(_knows(other, stack) for other in all_):
            raise
        return ()


def _knows(teams: Teams, stack: str) -> bool:
    try:
        return bool(teams.owner_of_stack(stack))
    except LeandataError:
        return False


def approving(given: Iterable[Review], *, commit: str, author: str) -> set[str]:
    """The logins whose last word on `commit` is an approval, lower case; the author's own does not count.

    An approval of another commit does not count. A later request for changes or a dismissal withdraws it, of whichever
    commit that is; a comment changes nothing. Raises LeandataError for a commit that is not 40 hexadecimal digits.
    """
    commit = commit.lower()
    if len(commit) != _COMMIT_DIGITS or set(commit) - set("0123456789abcdef"):
        raise LeandataError(
            f"{commit!r} is no whole commit id", hint="COMMIT is the head of the pull request, 40 digits"
        )
    last: dict[str, Review] = {}
    in_order = list(given)
    if all(review.at for review in in_order):
        in_order.sort(key=lambda one: one.at)
    for review in in_order:
        if review.state in _DECIDING and review.user:
            last[review.user] = review
    agreed = {user for user, one in last.items() if one.state == "APPROVED" and one.commit == commit}
    return agreed - {author.lower()}


def decide(needed: Iterable[Row], *, approvals: set[str], owners: Sequence[Teams]) -> list[Signed]:
    """For each risk who signed, and which teams are missing. One person signs for every team that they are in.

    With several `owners` a person must be in the team in each that has it: nobody joins a team by the change itself.
    """
    found: list[Signed] = []
    for row in needed:
        by = {team: tuple(sorted(approvals & _people(team, owners))) for team in row.teams}
        found.append(Signed(row=row, by=by, missing=tuple(team for team in row.teams if not by[team])))
    return found


def _people(team: str, owners: Sequence[Teams]) -> set[str]:
    sides = [{person.lower() for person in one.teams[team].people} for one in owners if team in one.teams]
    return set.intersection(*sides) if sides else set()
