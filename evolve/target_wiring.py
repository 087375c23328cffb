"""How a run meets the user's own repository: its seed comes from there, and the user's tests are a gate."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evolve.config import StartConfig
from evolve.contracts import (
    Candidate,
    Evaluator,
    Failed,
    FinalResult,
    NoiseFloor,
    Observable,
    Outcome,
    Sandbox,
    Scored,
    Tree,
    Verdict,
)
from evolve.journal import Journal
from evolve.lineage import Lineage
from evolve.run_folder import RunFolder
from evolve.target import Target

if TYPE_CHECKING:
    from search_spaces.space import Space


def targeted(
    space: Space, config: StartConfig, folder: RunFolder, journal: Journal, lineage: Lineage
) -> tuple[Space, Target | None]:
    """The space with the user's files as its seed, and their repository; both as they are where there is none.

    A run that goes on keeps the seed that it began with, whatever became of the repository. What an imported run calls
    its repository is nobody's here: a stranger wrote that record, so it is never opened.
    """
    from search_spaces.space import with_seed

    if journal.records:
        lineage.read_ahead()  # the loop will ask for every candidate's files
        first = journal.records[0].body
        target = Target.of(first)
        seeded = with_seed(space, lineage.tree(first["seed_commit"])) if target else space
        return seeded, None if folder.is_imported() else target
    if config.repository is None:
        return space, None
    target = Target.found(config.repository, config.path, config.tests)
    return with_seed(space, target.seed(space.seed)), target


def tested(evaluator: Evaluator, target: Target | None, sandbox: Sandbox) -> Evaluator:
    """The evaluator, with the user's tests as a gate where there are any. Raises UsageError where the files are too
    many."""
    if target is None or not target.tests:
        return evaluator
    from sandbox.tests import run_tests

    beside, command = target.beside(), shlex.split(target.tests)

    def failure(tree: Tree) -> str | None:
        files = {**beside, **{f"{target.path}/{name}": text for name, text in tree.items()}}
        return run_tests(sandbox, files, command)

    return Gated(evaluator=evaluator, failure=failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """Implements `contracts.Evaluator`: what would be taken to confirmation must pass the user's tests first.

    Candidate and tests share a process, so the gate finds breakage; it does not hold against a candidate that cheats.
    """

    evaluator: Evaluator
    failure: Callable[[Tree], str | None]

    def measure_floor(self, seed: Candidate) -> NoiseFloor:
        return self.evaluator.measure_floor(seed)

    def resume_from(self, seed: Candidate, floor: NoiseFloor) -> None:
        self.evaluator.resume_from(seed, floor)

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        """The outcome; `Failed` at the rung `tests` where it promises and the tests fail."""
        outcome = self.evaluator.judge(candidate, reference, observable)
        if not isinstance(outcome, Scored) or not outcome.promising:
            return outcome
        said = self.failure(candidate.tree)
        if said is None:
            return outcome
        reason = "the repository's own tests fail with it"
        return Failed(rung="tests", reason=reason, detail=said, cpu_s=outcome.cpu_s, evidence=outcome.evidence)

    def confirm(self, challenger: Candidate, champion: Candidate, alpha: float) -> Verdict:
        return self.evaluator.confirm(challenger, champion, alpha)

    def final(self, champion: Candidate, seed: Candidate) -> FinalResult:
        return self.evaluator.final(champion, seed)
