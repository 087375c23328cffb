"""Finds texts by words: BM25 over technique cards and past failures. First an index of titles, then one text whole."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.journal_text import one_line, outcome_text
from evolve.contracts import History, Scored, Technique

K1, B = 1.2, 0.75
"""The usual constants of Okapi BM25 (Robertson and Zaragoza, 2009)."""
WORD = re.compile(r"[a-z]{2,}|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text that can be found."""

    name: str
    title: str
    text: str


def documents(techniques: Sequence[Technique], history: History) -> list[Document]:
    """The cards of a space and the failures of a run."""
    cards = [
        Document(name=t.name, title=t.title, text="\n".join([t.title, t.hypothesis, t.mechanism, t.paper, *_code(t)]))
        for t in techniques
    ]
    failures = [
        Document(
            name=f"failure-{a.candidate.number}",
            title=f"#{a.candidate.number} {a.proposal.technique}: {one_line(outcome_text(a), 80)}",
            text=f"{a.proposal.hypothesis}\n{outcome_text(a)}",
        )
        for a in history.attempts
        if not isinstance(a.outcome, Scored)
    ]
    return cards + failures


def ranked(query: str, texts: Sequence[Document], count: int) -> list[Document]:
    """The `count` documents that fit the query best; those without a common word are left out."""
    bags = [Counter(words(f"{d.title} {d.text}")) for d in texts]
    mean = sum(bag.total() for bag in bags) / max(1, len(bags))
    wanted = set(words(query))
    holding = {word: sum(word in bag for bag in bags) for word in wanted}

    def score(bag: Counter[str]) -> float:
        total = 0.0
        for word in wanted & bag.keys():
            rarity = math.log(1 + (len(bags) - holding[word] + 0.5) / (holding[word] + 0.5))
            length = K1 * (1 - B + B * bag.total() / mean)
            total += rarity * bag[word] * (K1 + 1) / (bag[word] + length)
        return total

    scored = [(score(bag), -i) for i, bag in enumerate(bags)]
    best = sorted((pair for pair in scored if pair[0] > 0), reverse=True)[:count]
    return [texts[-i] for _, i in best]


def words(text: str) -> Iterator[str]:
    """Lower-case words, plurals cut."""
    for word in WORD.findall(text.lower()):
        yield word.removesuffix("s") if len(word) > 3 else word


def _code(technique: Technique) -> list[str]:
    return [f"{edit.action} {edit.anchor} in {edit.path}:\n{edit.code}" for edit in technique.edits]
