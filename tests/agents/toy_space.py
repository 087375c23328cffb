"""A search space without a model: each technique changes one slot, and every tree's true gain is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evolve.contracts import (
    Attempt,
    Candidate,
    Edit,
    Failed,
    History,
    Limits,
    NoiseFloor,
    Outcome,
    Persona,
    Proposal,
    Proposer,
    Rung,
    Scored,
    Technique,
    Tree,
    Waiting,
)
from evolve.fingerprint import fingerprint
from search_spaces.space import LoadedSpace

FLOOR = NoiseFloor(
    metric="m", score=0.5, short_score=0.4, seed_sd=0.003, paired_se=0.002, minimum_effect=0.005, seeds=3, cpu_s=1.0
)
ERROR = 0.002
RATE = """RATE = 0.05  # tunable: 1e-3 .. 1.0 log
SHAPE = "a"  # tunable: a | b | c


def use():
    return RATE, SHAPE
"""


def technique(number: int, **changes: object) -> Technique:
    """Replaces `part_<number>`."""
    anchor, code = f"part_{number}", f"def part_{number}():\n    return 1\n"
    plain = Technique(
        name=f"t{number}",
        title=f"Part {number}",
        persona=tuple(Persona)[number % 3],
        paper="none",
        hypothesis="it helps",
        mechanism="it does",
        observable=None,
        edits=(Edit(path="parts.py", action="replace", anchor=anchor, code=code),),
    )
    return Technique(**{name: changes.get(name, getattr(plain, name)) for name in Technique.__slots__})


def toy_space(parts: int, *, tunable: bool = True, techniques: Sequence[Technique] | None = None) -> LoadedSpace:
    """A space of `parts` slots with one technique each, and two tunables if `tunable`."""
    code = "\n\n".join(f"def part_{i}():\n    return 0\n" for i in range(parts))
    seed = {"parts.py": f'"""Parts."""\n\n{code}', **({"rate.py": RATE} if tunable else {})}
    rungs = tuple(Rung(name=n, examples=10, limit_s=1.0) for n in ("smoke", "short", "full", "replicated"))
    return LoadedSpace(
        name="toy",
        summary="a toy",
        metric="m",
        metrics=("m",),
        seed=seed,
        editable=tuple(seed),
        required=(),
        harness={"harness.py": ""},
        rungs=rungs,
        final=rungs[-1],
        limits=Limits(),
        confirmation="held_out_split",
        confirmation_seeds=2,
        floor_seeds=3,
        techniques=tuple(technique(i) for i in range(parts)) if techniques is None else tuple(techniques),
        digest="toy",
    )


def scored(gain: float, *, rung: str = "full", error: float = ERROR) -> Scored:
    """An outcome with that gain."""
    return Scored(
        rung=rung,
        score=0.5 + gain,
        gain=gain,
        standard_error=error,
        seeds=1,
        metrics={},
        observables={},
        verdict=None,
        promising=gain > 0,
        cpu_s=1.0,
    )


def additive(effects: Mapping[int, float | None]) -> Callable[[Tree], Outcome]:
    """Each changed part adds its effect, and the tree's own noise; an effect of None breaks the candidate."""

    def judge(tree: Tree) -> Outcome:
        changed = [i for i in effects if f"def part_{i}():\n    return 1" in tree["parts.py"]]
        if any(effects[i] is None for i in changed):
            return Failed(rung="smoke", reason="raised", detail="", cpu_s=0.1)
        noise = np.random.default_rng(int(hashlib.sha256(fingerprint(tree).encode()).hexdigest()[:8], 16))
        return scored(sum(effects[i] or 0.0 for i in changed) + ERROR * float(noise.standard_normal()))

    return judge


@dataclass
class Run:
    """Proposes and judges without a sandbox: the loop's rules in a few lines."""

    seed_tree: Tree
    judge: Callable[[Tree], Outcome]
    window: int = 1
    attempts: list[Attempt] = field(default_factory=list)
    pending: list[Waiting] = field(default_factory=list)
    trees: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.seed = Candidate(number=0, commit="c0", parents=(), tree=self.seed_tree, fingerprint="")
        self.by_commit = {"c0": self.seed}
        self.trees.add(fingerprint(self.seed_tree))

    def history(self) -> History:
        return History(
            number=len(self.by_commit),
            seed=self.seed,
            champion=self.seed,
            floor=FLOOR,
            attempts=tuple(self.attempts),
            pending=tuple(self.pending),
            tried=lambda tree: fingerprint(tree) in self.trees,
        )

    def step(self, proposer: Proposer, seed: int = 0) -> Proposal | None:
        """One proposal, committed; the oldest waiting candidate is judged when the window is full."""
        proposal = proposer.propose(self.history(), seed)
        if proposal is None:
            return None
        tree = {**self.by_commit[proposal.parents[0]].tree, **proposal.files}
        number = len(self.by_commit)
        candidate = Candidate(
            number=number, commit=f"c{number}", parents=proposal.parents, tree=tree, fingerprint=fingerprint(tree)
        )
        self.by_commit[candidate.commit] = candidate
        self.trees.add(candidate.fingerprint)
        self.pending.append(Waiting(candidate=candidate, proposal=proposal))
        if len(self.pending) >= self.window:
            first = self.pending.pop(0)
            outcome = self.judge(first.candidate.tree)
            self.attempts.append(Attempt(candidate=first.candidate, proposal=first.proposal, outcome=outcome))
        return proposal

    def play(self, proposer: Proposer, budget: int, seed: int = 0) -> list[Proposal]:
        """Up to `budget` proposals."""
        made: list[Proposal] = []
        while len(made) < budget and (proposal := self.step(proposer, seed)) is not None:
            made.append(proposal)
        return made
