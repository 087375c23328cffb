"""Where a pull request is measured beyond the search: on another ground, and less one of its parts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evolve.archive import Archive
from evolve.config import StartConfig
from evolve.contracts import Candidate, Tree, Verdict
from evolve.errors import RunError, UsageError
from evolve.fingerprint import fingerprint
from evolve.lineage import Lineage
from evolve.measuring import open_walks, yardstick
from evolve.target import Target
from evolve.target_wiring import tested
from evolve.wiring import Report, box_for, require_same

if TYPE_CHECKING:
    from evolve.contracts import Evaluator, SearchSpace
    from evolve.journal import Record
    from evolve.run_folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudging:
    """A judge over a run's own measurements: what was measured before is not measured again."""

    evaluator: Evaluator
    space: SearchSpace

    def compare(self, new: Tree, old: Tree, alpha: float) -> Verdict:
        """At the users of the confirmation, under its seeds. Raises UsageError where the gate refuses `new`."""
        if refused := self.space.check(new):
            raise UsageError(f"the space's gate refuses the tree: {refused}")
        return self.evaluator.confirm(_as_candidate(1, new), _as_candidate(0, old), alpha)

    def without(self, tree: Tree, techniques: list[str], name: str) -> Tree | None:
        """`tree` with all `techniques` but the one of that name, in their order; None where one does not apply or is no
        card of the space's."""
        from agents import edits

        cards = {technique.name: technique for technique in self.space.techniques}
        now: Tree | None = tree
        for other in techniques:
            if other not in cards:
                return None
            if other != name:
                now = edits.apply(now, cards[other]) if now is not None else None
        return now


def _as_candidate(number: int, tree: Tree) -> Candidate:
    return Candidate(number=number, commit="", parents=(), tree=tree, fingerprint=fingerprint(tree))


@contextmanager
def open_rejudging(
    config: StartConfig,
    folder: RunFolder,
    archive: Archive,
    lineage: Lineage,
    first: Record,
    cache: Path,
    report: Report,
) -> Generator[Rejudging]:
    """Opens the judge of a run that nobody writes now. Raises RunError where another process does, or where the space
    or its data are not those of the run."""
    from evaluations.judge import Judge
    from evaluations.store import Store
    from sandbox.canary import plant
    from search_spaces.space import load, with_seed

    settings = archive.settings
    if archive.floor is None:
        raise RunError("the run has measured no noise floor yet", hint="Let it go on: evolve start --resume")
    space = load(settings["space"])
    target = None if folder.is_imported() else Target.of(settings)
    seed = _as_candidate(0, lineage.tree(archive.seed.commit))
    if settings.get("target"):
        space = with_seed(space, seed.tree)
    task = yardstick(space, settings["dataset"], settings["world"], cache)
    require_same(first, space, task)
    box = box_for(config, folder, model_answers=settings["proposer"] != "catalog")
    try:
        canaries = plant(folder.path / "canaries")
        with folder.held(), open_walks(space, task, box, config.workers, canaries=canaries) as walks:
            judge = Judge(space, task, walks, Store(folder.measurements), settings["seed"], report)
            judge.resume_from(seed, archive.floor)
            yield Rejudging(evaluator=tested(judge, target, box), space=space)
    finally:
        box.close()
