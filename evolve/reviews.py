"""What people did with pull requests, as the journal holds it. Knows neither the search nor git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evolve import records
from evolve.contracts import Verdict

ReviewKind = Literal["approved", "rejected", "commented", "rolled_back", "rebased", "attributed"]
REVIEWS = frozenset({"approved", "rejected", "commented", "rolled_back", "rebased", "attributed"})
"""Kinds of records that a review writes; the search decides nothing by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a pull request: the verdict on the whole against the whole less it, or why there is none."""

    name: str
    verdict: Verdict | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What a person, or `--auto-approve`, did with a pull request. `commit` is what it made of `main`, if anything.

    `rebased` laid its steps on the commit `onto`: `commit` is their last there, and `verdict` compares it with `onto`
    at the users of the confirmation; where both changed the same lines there is neither, and `text` holds the hunks.
    `attributed` measured what each of its `parts` gives.
    """

    pull: int
    kind: ReviewKind
    text: str
    commit: str
    at: float
    onto: str = ""
    verdict: Verdict | None = None
    parts: tuple[Part, ...] = ()


def review_of(kind: ReviewKind, body: Mapping[str, Any], at: float) -> Review:
    """The review that a record holds."""

    def verdict(told: Mapping[str, Any] | None) -> Verdict | None:
        return records.verdict_from_json(told) if told else None

    parts = (Part(name=p["name"], verdict=verdict(p["verdict"]), reason=p["reason"]) for p in body.get("parts", ()))
    return Review(
        pull=body["pull"],
        kind=kind,
        text=body["text"],
        commit=body["commit"],
        at=at,
        onto=body.get("onto", ""),
        verdict=verdict(body.get("verdict")),
        parts=tuple(parts),
    )
