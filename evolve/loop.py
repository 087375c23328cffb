"""The inner loop: propose, commit, judge, record; confirm what promises; promote what is confirmed.

Imports no agent, sandbox, space or evaluation: they come as Protocols. Steady state with a fixed window:
proposal i is made when the outcome of proposal i - window is recorded, whatever finished meanwhile, so a
run depends on its seed and its number of workers, never on how long anything took. Every step is recorded
before the next begins, and starting on an old journal is the same code as starting on an empty one. Where models are
slow, proposals are thought of ahead (`evolve.thoughts`), in the same order and by the same rule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from evolve import records
from evolve.archive import Archive, Pending
from evolve.contracts import (
    Candidate,
    Clock,
    Evaluator,
    History,
    Outcome,
    Proposal,
    Proposer,
    Rejected,
    Scored,
    Tree,
)
from evolve.error_budget import alpha_of
from evolve.errors import BudgetExhausted, SandboxError
from evolve.journal import Journal, Record
from evolve.lineage import Lineage
from evolve.thoughts import Stopped, Thoughts

REFUSALS_IN_A_ROW = 50
"""So many free refusals one after the other end the run."""
TRIES = 3
"""How often a candidate is tried when the sandbox itself fails."""
RESOLVES = frozenset({"proposed", "refused"})
"""What came of a proposal; it is after these records that the next thought is planned."""

T = TypeVar("T")
Observer = Callable[[Record], None]
Gate = Callable[[Tree], str | None]
Guard = Callable[[History, Proposal], str | None]
"""Why the static gate refuses what failed before, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was started with; the same for all its life but for the budgets."""

    seed: int
    workers: int
    budget: int
    budget_s: float | None = None
    thinking: int = 0
    """Proposals that are thought of while candidates run; 0: the loop waits for each."""

    @property
    def window(self) -> int:
        """Proposals in flight: one for one worker; else twice the workers, so that none waits for another."""
        return 1 if self.workers == 1 else 2 * self.workers


class Loop:
    """One run. `run` returns why it ended; an exception leaves a journal that the next `run` continues."""

    def __init__(
        self,
        *,
        settings: Settings,
        started: Mapping[str, Any],
        seed_tree: Tree,
        gate: Gate,
        proposer: Proposer,
        evaluator: Evaluator,
        lineage: Lineage,
        journal: Journal,
        clock: Clock,
        observer: Observer = lambda record: None,
        guard: Guard = lambda history, proposal: None,
    ) -> None:
        self.settings, self._started, self._seed_tree = settings, started, seed_tree
        self._guard = guard
        self._gate, self._proposer, self._evaluator = gate, proposer, evaluator
        self._lineage, self._journal, self._clock, self._observer = lineage, journal, clock, observer
        self._stop = threading.Event()
        self._futures: dict[int, Future[Outcome]] = {}
        self._exhausted = ""
        self.archive = Archive(lineage)
        self._thoughts = Thoughts(proposer, settings.thinking)
        self._taken = 0
        for record in journal.records:
            self._take(record)

    @property
    def experiments(self) -> bool:
        """Whether experiments decide what ships, when the search is over."""
        return (self.archive.settings or self._started).get("confirmation") == "experiment"

    def stop(self) -> None:
        """Ends the run gracefully: what is in flight is judged, nothing new is proposed."""
        self._stop.set()

    def run(self) -> str:
        """Runs until a budget, the proposer or a person ends it. May be called on a journal of any length."""
        self._begin()
        deadline = None if self.settings.budget_s is None else self._clock.now() + self.settings.budget_s
        with ThreadPoolExecutor(self.settings.workers, thread_name_prefix="worker") as pool:
            try:
                self._resume(pool)
                while True:
                    while not (reason := self._why_not(deadline)) and len(self.archive.pending) < self.settings.window:
                        self._propose(pool)
                    if not self.archive.pending:
                        break
                    if not reason:
                        self._thoughts.begin()
                    self._settle()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return self._end(reason)

    # --- one step each -----------------------------------------------------------------------

    def _begin(self) -> None:
        archive = self.archive
        if not archive.candidates:
            commit = self._lineage.commit(0, self._seed_tree, (), f"seed of {self._started['space']}")
            self._append("started", {**self._started, "seed_commit": commit})
        if archive.floor is None:
            floor = self._persist(lambda: self._evaluator.measure_floor(archive.seed))
            self._append("floor", records.floor_to_json(floor))
        else:
            self._evaluator.resume_from(archive.seed, archive.floor)

    def _resume(self, pool: ThreadPoolExecutor) -> None:
        for waiting in self.archive.pending:
            self._submit(pool, waiting)
        self._confirm()

    def _propose(self, pool: ThreadPoolExecutor) -> None:
        """Asks for one proposal and commits it, or records why it was refused."""
        try:
            proposal = self._thought() if self.settings.thinking else self._proposer.propose(*self._asked())
        except BudgetExhausted as limit:
            self._exhausted = limit.message
            return
        except Stopped:
            return
        if proposal is None:
            self._exhausted = "nothing is left to try: the proposer has no new proposal"
            return
        tree = {**self.archive.by_commit[proposal.parents[0]].tree, **proposal.files}
        refusal = self._refusal(proposal, tree)
        if refusal:
            body = records.proposal_to_json(proposal)
            # No commit holds a refused proposal's files, and a replay needs them.
            body = {"proposal": body, "files": dict(proposal.files)}
            self._append("refused", {**body, "gate": refusal.gate, "reason": refusal.reason})
            return
        number, leader = len(self.archive.candidates), self.archive.leader
        assert leader is not None
        commit = self._lineage.commit(number, tree, proposal.parents, message(proposal))
        body = {"number": number, "commit": commit, "reference": leader.number}
        self._append("proposed", {**body, "proposal": records.proposal_to_json(proposal)})
        self._submit(pool, self.archive.pending[-1])

    def _settle(self) -> None:
        """Waits for the oldest candidate in flight, records its outcome, and confirms it where it promises."""
        waiting = self.archive.pending[0]
        outcome = self._futures.pop(waiting.candidate.number).result()
        body = {"number": waiting.candidate.number, "outcome": records.outcome_to_json(outcome)}
        self._append("judged", body)
        self._confirm()

    def _confirm(self) -> None:
        """Takes the last attempt to the confirmation split where it promises more than the champion."""
        attempt = self.archive.unsettled
        if attempt is None or not isinstance(attempt.outcome, Scored) or not attempt.outcome.promising:
            return
        champion = self.archive.champion
        assert champion is not None
        if attempt.outcome.gain <= self._gain(champion):
            return
        challenger = attempt.candidate
        alpha = alpha_of(self.archive.looks)
        verdict = self._persist(lambda: self._evaluator.confirm(challenger, champion, alpha))
        promoted = verdict.decision == "better"
        if promoted:
            self._lineage.promote(challenger.commit)
        body = {"number": challenger.number, "against": champion.number, "promoted": promoted}
        self._append("confirmed", {**body, "verdict": records.verdict_to_json(verdict)})

    def _end(self, reason: str) -> str:
        if self._stop.is_set():
            return reason
        champion = self.archive.champion
        assert champion is not None
        if self.archive.final is None:
            final = self._persist(lambda: self._evaluator.final(champion, self.archive.seed))
            self._append("final", records.final_to_json(final))
        if not self.archive.ended:
            self._lineage.annotate({a.candidate.commit: note(a.outcome) for a in self.archive.attempts})
            self._append("ended", {"reason": reason})
        return reason

    # --- small parts ---------------------------------------------------------------------------

    def _why_not(self, deadline: float | None) -> str:
        if self._stop.is_set():
            return "stopped by hand; continue with --resume"
        if self.archive.counted >= self.settings.budget:
            return f"the budget of {self.settings.budget} proposals is spent"
        if deadline is not None and self._clock.now() >= deadline:
            return f"the time budget of {self.settings.budget_s:.0f} s is spent"
        if self.archive.refused_in_a_row >= REFUSALS_IN_A_ROW:
            return f"{REFUSALS_IN_A_ROW} proposals in a row were refused by the gates"
        return self._exhausted

    def _refusal(self, proposal: Proposal, tree: Tree) -> Rejected | None:
        if self.archive.tried(tree):
            return Rejected(gate="novelty", reason="an equal tree was tried before")
        reason = self._gate(tree) or self._guard(self.archive.history(), proposal)
        return Rejected(gate="static", reason=reason) if reason else None

    def _submit(self, pool: ThreadPoolExecutor, waiting: Pending) -> None:
        def work() -> Outcome:
            judge, proposal = self._evaluator.judge, waiting.proposal
            return self._persist(lambda: judge(waiting.candidate, waiting.reference, proposal.observable))

        self._futures[waiting.candidate.number] = pool.submit(work)

    def _persist(self, work: Callable[[], T]) -> T:
        """Tries again where the sandbox itself failed: the candidate is never blamed for that."""
        for _ in range(TRIES - 1):
            try:
                return work()
            except SandboxError:
                if self._stop.wait(1.0):
                    break
        return work()

    def _gain(self, candidate: Candidate) -> float:
        outcome = self.archive.outcome(candidate.number)
        return outcome.gain if isinstance(outcome, Scored) else 0.0

    def _append(self, kind: str, body: Mapping[str, Any]) -> None:
        """Writes a record and takes it, after those that a reviewer wrote meanwhile."""
        self._journal.append(kind, body)
        for record in self._journal.since(self._taken):
            self._take(record)
            self._observer(record)

    def _take(self, record: Record) -> None:
        """Folds a record in. Where it resolved a thought, the next one is planned: from this record's history."""
        self._taken += 1
        self.archive.apply(record)
        if record.kind in RESOLVES:
            self._thoughts.drop()
        if record.kind in RESOLVES or record.kind == "floor":
            self._plan()

    def _plan(self) -> None:
        """As many thoughts as may be, and no more than the budget can take."""
        budget, thoughts = self.settings.budget, self._thoughts
        while len(thoughts) < thoughts.most and self.archive.counted + len(thoughts) < budget:
            thoughts.plan(*self._asked())

    def _asked(self) -> tuple[History, int]:
        """What a proposer is asked now: the history, and a seed that no refused proposal had."""
        return self.archive.history(), self.settings.seed + 1_000_003 * len(self.archive.refusals)

    def _thought(self) -> Proposal | None:
        """The oldest thought's proposal; those behind it go on."""
        self._plan()
        self._thoughts.begin()
        return self._thoughts.resolve(self._stop)


def message(proposal: Proposal) -> str:
    """The commit message: what is believed, why, and what should move."""
    lines = [f"{proposal.technique}: {proposal.hypothesis}", "", f"Mechanism: {proposal.mechanism}"]
    if proposal.observable:
        lines.append(f"Observable: {proposal.observable.name} ({proposal.observable.direction})")
    return "\n".join([*lines, f"Persona: {proposal.persona}", f"Move: {proposal.move}", ""])


def note(outcome: Outcome) -> str:
    """The outcome in one line, for git notes."""
    if isinstance(outcome, Scored):
        return f"scored {outcome.score:.6f}, gain {outcome.gain:+.6f} at {outcome.rung}, {outcome.seeds} seeds"
    return f"{outcome.kind}: {outcome.reason}"
