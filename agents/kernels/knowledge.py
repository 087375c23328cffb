"""Finds knowledge cards in two stages: an index is searched by a diagnosis and words, then the chosen cards are read.

A card is a constraint, guidance, or a fact of hardware, with its source; `moves` names the kinds of change that it
speaks for. Does not know any kernel. A broken card is the author's mistake and raises `UsageError`.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from agents.retrieve import Document, ranked
from evolve.errors import UsageError

KINDS = ("constraint", "guidance", "hardware")
MOVES = (
    "tiles",
    "unrolling",
    "vector_width",
    "loop_order",
    "blocking",
    "threads",
    "prefetch",
    "fusion",
    "layout",
)
"""The kinds of change that a generator can make."""
FENCE = "+++\n"


class Bound(StrEnum):
    """What a kernel's time goes into, as the judge sees it: bytes, arithmetic, or neither."""

    MEMORY = "memory"
    COMPUTE = "compute"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the index: enough to choose a card by."""

    name: str
    kind: str
    title: str
    bounds: tuple[Bound, ...]
    moves: tuple[str, ...]
    about: str
    """Words of the operators that it concerns most; empty where it concerns all alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card that was fetched."""

    entry: Entry
    source: str
    text: str


def read_index(folder: Path) -> tuple[Entry, ...]:
    """The first stage's texts.

    Raises:
        UsageError: an entry lacks a key, or names a kind, a bound or a move that is not known.
    """
    path = folder / "index.toml"
    try:
        return tuple(_entry(row) for row in tomllib.loads(path.read_text(encoding="utf-8"))["card"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _wrong(
            path, f"expected [[card]] with name, kind, title, bounds, moves and about; found: {error}"
        ) from error


def choose(entries: Sequence[Entry], bound: Bound, words: str, count: int) -> list[Entry]:
    """The cards that fit a diagnosis, those that fit the words best first; constraints count as every other card."""
    fitting = [entry for entry in entries if bound in entry.bounds]
    texts = [Document(name=e.name, title=e.title, text=f"{e.about} {' '.join(e.moves)}") for e in fitting]
    by_name = {entry.name: entry for entry in fitting}
    found = [by_name[document.name] for document in ranked(words, texts, count)]
    rest = sorted((e for e in fitting if e not in found), key=lambda e: (-_focus(e), e.name))
    return [*found, *rest][:count]


def fetch(folder: Path, entry: Entry) -> Card:
    """The second stage: a card's text.

    Raises:
        UsageError: the card is missing or has no source.
    """
    path = folder / f"{entry.name}.md"
    try:
        _, front, text = path.read_text(encoding="utf-8").split(FENCE, 2)
        keys = tomllib.loads(front)
        if keys["name"] != entry.name or not keys["source"]:
            raise ValueError(f"name {keys['name']!r}, source {keys['source']!r}")
    except (OSError, KeyError, ValueError) as error:
        raise _wrong(path, f"expected TOML with name and source between two lines +++; found: {error}") from error
    return Card(entry=entry, source=str(keys["source"]), text=text.strip())


def advice(cards: Sequence[Card]) -> Counter[str]:
    """How strongly the cards speak for each kind of change."""
    return Counter(move for card in cards for move in card.entry.moves)


def _focus(entry: Entry) -> float:
    """A card about one bound is worth more to it than a card about all."""
    return 1 / len(entry.bounds)


def _entry(row: dict[str, Any]) -> Entry:
    unknown = [move for move in row["moves"] if move not in MOVES]
    if unknown or row["kind"] not in KINDS:
        raise ValueError(f"kind {row['kind']!r}, moves {unknown} in the card {row['name']!r}")
    return Entry(
        name=row["name"],
        kind=row["kind"],
        title=row["title"],
        bounds=tuple(Bound(bound) for bound in row["bounds"]),
        moves=tuple(row["moves"]),
        about=row["about"],
    )


def _wrong(path: Path, words: str) -> UsageError:
    return UsageError(f"{path}: {words}", hint="Correct the knowledge card and run the command again.")
