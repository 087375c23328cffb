"""What pull requests there are and how they stand: folded from promotions and reviews. Knows no git."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from evolve.archive import Confirmation
from evolve.errors import UsageError
from evolve.reviews import Review

State = Literal["open", "approved", "rejected", "rolled back", "conflicting", "not confirmed"]


class Promotions(Protocol):
    """What a run promoted and what became of it: an archive, or an index."""

    @property
    def promoted(self) -> list[Confirmation]:
        """The promotions in order."""
        ...

    @property
    def reviews(self) -> list[Review]:
        """What was done with them, in order."""
        ...

    def first_parent(self, number: int) -> int | None:
        """The candidate that a candidate changes; None for the seed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A promotion as it is offered to a person.

    `steps` are the candidates from what it shares with the champion it was confirmed against to itself, one commit
    each; `takes_back` are steps of that champion that it does not stand on, so that merging undoes them. A rebased one
    is `conflicting` where `main` changed the same lines, and `not confirmed` where it is no better there.
    """

    number: int
    candidate: int
    look: Confirmation
    steps: tuple[int, ...]
    takes_back: tuple[int, ...]
    state: State
    reviews: tuple[Review, ...]

    @property
    def rebased(self) -> Review | None:
        """How it was laid on another ground, at last."""
        return next((review for review in reversed(self.reviews) if review.kind == "rebased"), None)


def pulls(archive: Promotions) -> list[Pull]:
    """Every pull request in order of its number."""
    states, all_reviews = _states(archive), archive.reviews
    found: list[Pull] = []
    for number, look in enumerate(archive.promoted, 1):
        steps, takes_back = _series(archive, look)
        reviews = tuple(review for review in all_reviews if review.pull == number)
        found.append(
            Pull(
                number=number,
                candidate=look.number,
                look=look,
                steps=steps,
                takes_back=takes_back,
                state=states[number - 1],
                reviews=reviews,
            )
        )
    return found


def pull(archive: Promotions, number: int) -> Pull:
    """Pull request `number`. Raises UsageError where there is none."""
    found = pulls(archive)
    if not 1 <= number <= len(found):
        known = f"there are 1 to {len(found)}" if found else "no promotion has opened one yet"
        raise UsageError(f"there is no pull request {number}: {known}", hint="See `evolve pr list`.")
    return found[number - 1]


def standing(archive: Promotions) -> list[Review]:
    """The approvals that `main` is made of now, oldest first."""
    merged: list[Review] = []
    for review in archive.reviews:
        if review.kind == "approved":
            merged.append(review)
        elif review.kind == "rolled_back":
            merged = [other for other in merged if other.pull < review.pull]
    return merged


def _states(archive: Promotions) -> list[State]:
    """An approval covers the open ones below it, unless it was rebased and no longer stands on them; a rollback covers
    all that came in with its merge."""
    states: list[State] = ["open"] * len(archive.promoted)
    covered: dict[int, list[int]] = {}
    alone: set[int] = set()
    for review in archive.reviews:
        if review.kind == "rejected":
            states[review.pull - 1] = "rejected"
        elif review.kind == "approved":
            below = range(review.pull if review.pull in alone else 1, review.pull + 1)
            covered[review.pull] = [n for n in below if states[n - 1] != "approved"]
            for number in covered[review.pull]:
                states[number - 1] = "approved"
        elif review.kind == "rebased":
            alone.add(review.pull)
            better = review.verdict is not None and review.verdict.decision == "better"
            states[review.pull - 1] = "conflicting" if not review.commit else "open" if better else "not confirmed"
        elif review.kind == "rolled_back":
            for number in covered.get(review.pull, [review.pull]):
                states[number - 1] = "rolled back"
    return states


def _series(archive: Promotions, look: Confirmation) -> tuple[tuple[int, ...], tuple[int, ...]]:
    champion = _line(archive, look.against)
    own = _line(archive, look.number)
    shared = set(own) & set(champion)
    steps = tuple(number for number in reversed(own) if number not in shared)
    return steps, tuple(number for number in reversed(champion) if number not in shared)


def _line(archive: Promotions, number: int) -> list[int]:
    """A candidate and its first parents, down to the seed."""
    line = [number]
    while (parent := archive.first_parent(line[-1])) is not None:
        line.append(parent)
    return line
