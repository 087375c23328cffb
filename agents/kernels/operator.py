"""The one operator of the search: what it does to a node follows from the cards retrieved for it, and nothing else.

A diagnosis fetches cards, the cards speak for kinds of change, and the strongest kinds decide which generator is tried,
which compiler's flags are added and which numbers are tuned. Runs no code.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents import tunables
from agents.kernels.generators import CPP_FLAGS, TOML, Generator, made_by
from agents.kernels.graph import Node
from agents.kernels.knowledge import Bound, Card, Entry, advice, choose, fetch
from agents.tune import TunedTrial, suggestions
from evolve.contracts import Move, Tree, TunableValue

CARDS = 8
"""Cards fetched for one proposal."""
TUNED = 3
"""At most so many tunables move in one proposal; the cards draw which."""
FLAGS_LINE = re.compile(r"^flags = \[.*\]$", re.MULTILINE)
FLAG_SETS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "vectorised": (CPP_FLAGS, "vector_width"),
    "unrolled": ((*CPP_FLAGS, "-funroll-loops"), "unrolling"),
    "wide": ((*CPP_FLAGS, "-mprefer-vector-width=512"), "vector_width"),
    "reordered": ((*CPP_FLAGS, "-fassociative-math", "-fno-signed-zeros"), "vector_width"),
}
"""What the compiler can do to any source, and the kind of change that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What was retrieved for a node."""

    bound: Bound
    cards: tuple[Card, ...]

    @property
    def advice(self) -> Counter[str]:
        """How strongly the cards speak for each kind of change."""
        return advice(self.cards)

    def reason(self, moves: Sequence[str]) -> str:
        """Which cards speak for the change."""
        names = [card.entry.name for card in self.cards if set(card.entry.moves) & set(moves)]
        return f"{self.bound} bound; cards: {', '.join(names[:3]) or 'none speaks for it'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A change of a node before it becomes a proposal."""

    files: Tree
    technique: str
    hypothesis: str
    mechanism: str
    move: Move


def retrieve(folder: Path, index: Sequence[Entry], node: Node, words: str) -> Context:
    """Two stages: the index by diagnosis and words, then the chosen cards."""
    bound = diagnosis_of(node)
    return Context(bound=bound, cards=tuple(fetch(folder, entry) for entry in choose(index, bound, words, CARDS)))


def diagnosis_of(node: Node) -> Bound:
    """What the judge saw holding the node back; latency where nothing was seen yet."""
    shares = {bound: node.observables.get(f"{bound}_bound", 0.0) for bound in reversed(Bound)}
    return max(shares, key=lambda bound: shares[bound])


def operate(
    node: Node, context: Context, generators: Sequence[Generator], nodes: Sequence[Node], rng: np.random.Generator
) -> Iterator[Draft]:
    """Changes of a node, the one that the context speaks for most first."""
    new = _unused(generators, nodes)
    if new:
        yield from (_generated(generator, context) for generator in _by_advice(new, context))
    drafts = [_tuned(node, context, generators, nodes, rng), _flagged(node, context)]
    if not made_by(node.candidate.tree):
        drafts.reverse()  # a source by hand declares no numbers: the compiler comes first
    for draft in drafts:
        yield from draft


def _unused(generators: Sequence[Generator], nodes: Sequence[Node]) -> list[Generator]:
    used = {node.proposal.technique for node in nodes if node.proposal}
    return [generator for generator in generators if generator.name not in used]


def _by_advice(generators: Sequence[Generator], context: Context) -> list[Generator]:
    """The order of the table decides where the cards speak alike."""
    return sorted(generators, key=lambda g: -sum(context.advice[move] for move in g.moves) / max(1, len(g.moves)))


def _generated(generator: Generator, context: Context) -> Draft:
    return Draft(
        files=generator.files(),
        technique=generator.name,
        hypothesis=f"{generator.operator} on {generator.backend}: {generator.title}",
        mechanism=f"{generator.mechanism} ({context.reason(generator.moves)})",
        move=Move.EXPLORE,
    )


def _flagged(node: Node, context: Context) -> Iterator[Draft]:
    text = node.candidate.tree.get(TOML, "")
    for name, (flags, move) in sorted(FLAG_SETS.items(), key=lambda item: -context.advice[item[1][1]]):
        changed = FLAGS_LINE.sub(f"flags = {json.dumps(flags)}", text)
        if changed != text:
            yield Draft(
                files={TOML: changed},
                technique=f"flags.{name}",
                hypothesis=f"the compiler makes #{node.candidate.number} faster under {' '.join(flags)}",
                mechanism=f"{move} by the compiler ({context.reason([move])})",
                move=Move.INNOVATE,
            )


def _tuned(
    node: Node,
    context: Context,
    generators: Sequence[Generator],
    nodes: Sequence[Node],
    rng: np.random.Generator,
) -> Iterator[Draft]:
    """Numbers by Optuna, among those tunables that the cards draw."""
    tree = {TOML: node.candidate.tree.get(TOML, "")}
    maker = next((g for g in generators if g.name == made_by(tree)), None)
    moving = tunables.find(tree).tunables
    if not moving or maker is None:
        return
    trials = _trials(node, nodes)
    for _ in range(TUNED):
        drawn = _drawn(moving, maker, context, rng)
        for values in suggestions(drawn, trials, {}, rng):
            changed = tunables.with_values(tree, values)
            if changed != tree:
                yield _tuning(node, context, maker, changed, tunables.find(tree).values, values)


def _tuning(
    node: Node,
    context: Context,
    maker: Generator,
    files: Tree,
    old: Mapping[str, TunableValue],
    values: Mapping[str, TunableValue],
) -> Draft:
    moved = {key: value for key, value in values.items() if old.get(key) != value}
    words = ", ".join(f"{key.partition('::')[2]} {old[key]} -> {value}" for key, value in moved.items())
    return Draft(
        files=files,
        technique="tune",
        hypothesis=f"#{node.candidate.number} is faster with {words}",
        mechanism=f"{', '.join(sorted(maker.moves_of(moved)))} ({context.reason(sorted(maker.moves_of(moved)))})",
        move=Move.EXPLOIT,
    )


def _drawn(
    moving: Sequence[tunables.Tunable], maker: Generator, context: Context, rng: np.random.Generator
) -> list[tunables.Tunable]:
    """At most `TUNED` tunables, each by how strongly the cards speak for its kind of change."""
    weights = np.array([1.0 + sum(context.advice[move] for move in maker.moves_of([t.key])) for t in moving])
    count = min(TUNED, len(moving))
    chosen = rng.choice(len(moving), size=count, replace=False, p=weights / weights.sum())
    return [moving[index] for index in sorted(int(i) for i in chosen)]


def _trials(node: Node, nodes: Sequence[Node]) -> list[TunedTrial]:
    """What is known of the same structure under other numbers; one that is being judged has no gain yet."""
    shape = tunables.structure(node.candidate.tree)
    alike = [n for n in nodes if n.proposal is not None and tunables.structure(n.candidate.tree) == shape]
    return [
        TunedTrial(
            values=tunables.find({TOML: n.candidate.tree.get(TOML, "")}).values,
            gain=float(np.log2(n.fitness)) if n.fitness > 0 else None,
        )
        for n in alike
    ]
