"""The search again as another run, from recorded proposals and outcomes: no model, no sandbox, no measurement.

What the record does not hold is never made up: the run stops there, and says what was asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evolve import records
from evolve.archive import Archive
from evolve.contracts import (
    Candidate,
    Clock,
    FinalResult,
    History,
    NoiseFloor,
    Observable,
    Outcome,
    Proposal,
    Proposer,
    Tree,
    Verdict,
)
from evolve.errors import OutOfEvidence, RunError
from evolve.fingerprint import fingerprint
from evolve.journal import Journal, Record, split_measured
from evolve.lineage import Lineage
from evolve.loop import Loop, Settings

TOLD = frozenset({"floor", "proposed", "refused", "judged", "confirmed", "final"})
"""Kinds of records that tell how a search went; the others say who asked for it and when it was stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A finished or interrupted run, as far as it was judged. `journal` begins with its first record."""

    name: str
    journal: Sequence[Record]
    archive: Archive

    @property
    def settings(self) -> Mapping[str, Any]:
        """The body of the first record."""
        return self.archive.settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How far a replay came. `ran_out` says what was asked and never tried; empty where nothing was.
    `same` tells whether every record that both runs should share is equal."""

    archive: Archive
    ran_out: str
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One proposal of the script, and the identities of the trees that it was made from."""

    proposal: Proposal
    parents: tuple[str, ...]
    tree: Tree
    refused: str = ""
    gate: str = ""


class RecordedProposer:
    """Returns the recorded proposals in their order, the refused ones too where their files were recorded."""

    name = "replay"

    def __init__(self, script: Sequence[Line], pauses: frozenset[int], pause: Callable[[], None]) -> None:
        self._script, self._pauses, self._pause = iter(script), pauses, pause

    def propose(self, history: History, seed: int) -> Proposal | None:
        """The next line of the script. Where the run was stopped and continued, this one is stopped as well."""
        line = next(self._script, None)
        if line is None:
            return None
        if not line.refused and history.number in self._pauses:
            self._pause()
        return on(line, history)


class ShuffledProposer:
    """Proposes what was recorded in another order: any proposal whose parents are judged may come next."""

    name = "replay"

    def __init__(self, script: Sequence[Line], seed: int) -> None:
        self._script, self._seed = [line for line in script if not line.refused], seed

    def propose(self, history: History, seed: int) -> Proposal | None:
        """One of those that are left, drawn by the seed and the number; None when none is."""
        there = {history.seed.fingerprint, *(a.candidate.fingerprint for a in history.attempts)}
        left = [line for line in self._script if set(line.parents) <= there and not history.tried(line.tree)]
        return on(random.Random(f"{self._seed}/{history.number}").choice(left), history) if left else None


class RecordedEvaluator:
    """Answers from what was recorded. A candidate is known by its tree; its reference must be the recorded one."""

    def __init__(self, recorded: Recorded) -> None:
        archive, self._name, self._archive = recorded.archive, recorded.name, recorded.archive
        prints = [candidate.fingerprint for candidate in archive.candidates]
        references = {r.body["number"]: r.body["reference"] for r in recorded.journal if r.kind == "proposed"}
        self._outcomes = {
            (a.candidate.fingerprint, prints[references[a.candidate.number]]): a.outcome for a in archive.attempts
        }
        self._looks = {(prints[c.number], prints[c.against], c.verdict.alpha): c.verdict for c in archive.confirmations}

    def measure_floor(self, seed: Candidate) -> NoiseFloor:
        """The recorded floor."""
        if self._archive.floor is None:
            raise OutOfEvidence(f"{self._name} never measured its noise floor")
        return self._archive.floor

    def resume_from(self, seed: Candidate, floor: NoiseFloor) -> None:
        """Nothing to take over: nothing is measured."""

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        """The recorded outcome against the same reference. Raises OutOfEvidence."""
        found = self._outcomes.get((candidate.fingerprint, reference.fingerprint))
        if found is None:
            tried = any(key[0] == candidate.fingerprint for key in self._outcomes)
            how = "was judged against another champion only" if tried else "was never tried"
            raise OutOfEvidence(f"candidate {candidate.number} of the replay {how} in {self._name}")
        return found

    def confirm(self, challenger: Candidate, champion: Candidate, alpha: float) -> Verdict:
        """The recorded verdict of the same look. Raises OutOfEvidence."""
        found = self._looks.get((challenger.fingerprint, champion.fingerprint, alpha))
        if found is None:
            what = f"candidate {challenger.number} of the replay was never confirmed against {champion.number}"
            raise OutOfEvidence(f"{what} at the level {alpha:.4g} in {self._name}")
        return found

    def final(self, champion: Candidate, seed: Candidate) -> FinalResult:
        """The recorded look at the test labels, of the same champion. Raises OutOfEvidence."""
        archive = self._archive
        same = archive.champion is not None and archive.champion.fingerprint == champion.fingerprint
        if archive.final is None or not same:
            raise OutOfEvidence(f"the replay's champion {champion.number} never met the test labels in {self._name}")
        return archive.final


def play(
    recorded: Recorded,
    lineage: Lineage,
    journal: Journal,
    clock: Clock,
    *,
    seed: int | None = None,
    shuffled: bool = False,
    proposer: Proposer | None = None,
    gate: Callable[[Tree], str | None] | None = None,
) -> Played:
    """Runs the search again into a new `lineage` and `journal`.

    Args:
        seed: the run seed; the recorded one where none is given.
        shuffled: take the recorded proposals in an order drawn by `seed`.
        proposer: asks for what it likes; with it comes the `gate` that refuses.
    """
    script, settings = script_of(recorded), recorded.settings
    run_seed: int = settings["seed"] if seed is None else seed
    pauses = frozenset[int]() if shuffled or proposer else pauses_of(recorded)
    loops: list[Loop] = []

    def pause() -> None:
        loops[-1].stop()

    asks = proposer or (ShuffledProposer(script, run_seed) if shuffled else RecordedProposer(script, pauses, pause))
    started = {name: value for name, value in settings.items() if name not in ("seed_commit", "target")}
    origin = {"run": recorded.name, "last_hash": recorded.journal[-1].hash}
    # The loop itself refuses a tree the second time; the first time it was a candidate.
    refusals = {fingerprint(line.tree): line.refused for line in script if line.gate == "static"}
    ran_out = ""
    judged = len(recorded.archive.attempts)  # the budget is one more: a script ends by itself, refusals and all
    for _ in range(1 + len(pauses - {judged})):
        loop = Loop(
            settings=Settings(seed=run_seed, workers=settings["workers"], budget=judged + 1),
            started={**started, "seed": run_seed, "proposer": "replay", "replay_of": origin},
            seed_tree=recorded.archive.seed.tree,
            gate=gate or (lambda tree: refusals.get(fingerprint(tree))),
            proposer=asks,
            evaluator=RecordedEvaluator(recorded),
            lineage=lineage,
            journal=journal,
            clock=clock,
        )
        loops.append(loop)
        try:
            loop.run()
        except OutOfEvidence as end:
            ran_out = end.message
            break
    return Played(archive=loops[-1].archive, ran_out=ran_out, same=told(journal.records) == told(recorded.journal))


def on(line: Line, history: History) -> Proposal:
    """The proposal on the candidates of this history that equal its recorded parents. Raises OutOfEvidence."""
    from dataclasses import replace

    candidates = [history.seed, *(a.candidate for a in history.attempts), *(w.candidate for w in history.pending)]
    by_print = {candidate.fingerprint: candidate.commit for candidate in candidates}
    if not set(line.parents) <= set(by_print):
        raise OutOfEvidence(f"`{line.proposal.technique}` stands on a candidate that this replay has not")
    return replace(line.proposal, parents=tuple(by_print[parent] for parent in line.parents))


def script_of(recorded: Recorded) -> list[Line]:
    """Every proposal that was judged or refused, in order. Raises RunError where there is none."""
    archive = recorded.archive
    judged = {attempt.candidate.number: attempt for attempt in archive.attempts}
    script: list[Line] = []
    for record in recorded.journal:
        if record.kind == "proposed" and (attempt := judged.get(record.body["number"])):
            prints = tuple(archive.by_commit[commit].fingerprint for commit in attempt.proposal.parents)
            script.append(Line(proposal=attempt.proposal, parents=prints, tree=attempt.candidate.tree))
        elif record.kind == "refused" and "files" in record.body:
            proposal = records.proposal_from_json(record.body["proposal"], record.body["files"])
            parents = [archive.by_commit[commit] for commit in proposal.parents]
            tree = {**parents[0].tree, **proposal.files}
            prints = tuple(parent.fingerprint for parent in parents)
            refused, gate = record.body["reason"], record.body["gate"]
            script.append(Line(proposal=proposal, parents=prints, tree=tree, refused=refused, gate=gate))
    if not script:
        raise RunError(f"{recorded.name} holds no judged proposal", hint="Continue it with --resume first.")
    return script


def pauses_of(recorded: Recorded) -> frozenset[int]:
    """The candidates after which nothing was in flight though more could have been: the run was stopped there."""
    judged, flying, pauses = len(recorded.archive.attempts), 0, set[int]()
    for record in recorded.journal:
        flying += {"proposed": 1, "judged": -1}.get(record.kind, 0)
        if record.kind == "judged" and not flying and record.body["number"] < judged:
            pauses.add(record.body["number"])
    if recorded.archive.final is None:
        pauses.add(judged)
    return frozenset(pauses)


def told(journal: Sequence[Record]) -> list[tuple[str, Mapping[str, Any]]]:
    """How a search went, without clocks, stops and what was still in flight: two equal searches tell the same."""
    judged = sum(record.kind == "judged" for record in journal)
    last = [r for r in journal if r.kind == "final"][-1:]
    return [
        (record.kind, split_measured(record.body)[0])
        for record in journal
        if record.kind in TOLD
        and (record.kind != "final" or record in last)
        and (record.kind != "proposed" or record.body["number"] <= judged)
        and (record.kind != "refused" or "files" in record.body)
    ]
