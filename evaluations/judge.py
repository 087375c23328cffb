"""The funnel: takes a candidate up the rungs, replicates what promises, and confirms on unseen users.

Holds labels through its Task and statistics through `evaluations.statistics`. Decides nothing by measured
time. A reference is the seed or a candidate that was replicated, so it has been to the full rung.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from evaluations.blame import blamed
from evaluations.observables import claims, did_not_move, mean_of, means
from evaluations.sessions import Continue, Route, Walks
from evaluations.statistics import Paired, SeedVariance, as_seed, pair, undecided, verdict
from evaluations.store import Store, Walk, seed_of, walk_key
from evaluations.task import Yardstick
from evolve.contracts import (
    Candidate,
    Evidence,
    FinalResult,
    Measurement,
    NoiseFloor,
    Observable,
    Outcome,
    Rung,
    Scored,
    SearchSpace,
    Verdict,
)
from evolve.errors import RunError

SEARCH_ALPHA = 0.05
"""Level of the verdicts in the search: they order candidates and make no champion."""
GIVE_UP_ALPHA = 0.02
"""A candidate leaves after the short rung only when it is worse than its reference at this level."""
REPLICATE_P = 0.15
"""One-sided p-value above which one more seed at the full rung is not worth its price."""
FUTILE_P = 0.10
"""A look at the confirmation users ends after its first seed above this p-value. More seeds make the users no more: the
level of a look, at most .005, is then all but out of reach. Giving up early never promotes anybody."""

K = TypeVar("K")
V = TypeVar("V")

Report = Callable[[int, str], None]
"""Progress for people: a candidate's number and what is being done with it."""


def _silent(_number: int, _line: str) -> None: ...


class Judge:
    """Implements `contracts.Evaluator` for any space with a task. Safe to call from several threads."""

    def __init__(
        self, space: SearchSpace, task: Yardstick, sessions: Walks, store: Store, seed: int, report: Report = _silent
    ) -> None:
        self._space, self._task, self._sessions, self._store = space, task, sessions, store
        self._seed, self._report = seed, report
        self._smoke, self._short, self._full, self._replicated = space.rungs
        self._floor: NoiseFloor | None = None
        self._seed_candidate: Candidate | None = None

    # --- the noise floor -------------------------------------------------------------------

    def measure_floor(self, seed: Candidate) -> NoiseFloor:
        """Trains the seed candidate under several seeds. Raises RunError where it does not run."""
        walks = self._each(lambda k: self._search(seed, k, self._first_score), range(self._space.floor_seeds))
        short = self._must(walks[0][0], self._short.name)
        full = [self._must(walk, self._full.name) for walk, _ in walks]
        metric = self._space.metric
        means = [m.mean(metric) for m in full]
        spread = SeedVariance().pooled(means)
        between = pair(full[1:2], [as_seed(full[0], full[1].seed)], metric, SeedVariance())
        repeats = self._replicated.seeds
        floor = NoiseFloor(
            metric=metric,
            score=sum(means) / len(means),
            short_score=short.mean(metric),
            seed_sd=math.sqrt(spread.variance),
            paired_se=between.standard_error,
            minimum_effect=math.sqrt((2 * spread.variance + between.standard_error**2) / repeats),
            seeds=len(means),
            cpu_s=sum(walk.evidence.cpu_s for walk, _ in walks),
        )
        self.resume_from(seed, floor)
        return floor

    def _first_score(self, found: Measurement) -> bool:
        """Tells the first figure of a run, the seed's on the short rung, as soon as it is there."""
        if found.rung == self._short.name:
            metric = self._space.metric
            self._report(0, f"short rung: the seed scores {found.mean(metric):.4f} {metric}")
        return True

    def resume_from(self, seed: Candidate, floor: NoiseFloor) -> None:
        """Takes a floor that was measured before."""
        self._seed_candidate, self._floor = seed, floor

    # --- the funnel ------------------------------------------------------------------------

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        """Runs the funnel; see `contracts.Evaluator.judge`."""
        if reference.number != candidate.number:  # before a session is held: two of them could wait for each other
            self._search(reference, 0)
        first, spent = self._search(candidate, 0, self._worth_going_on(candidate, reference))
        if first.fault:
            return blamed(first, spent, self._space.rungs)
        at_full = first.at(self._full.name)
        if at_full is None:
            return self._scored(candidate, reference, [first.measurements[-1]], observable, spent, first.evidence)
        measured = [at_full]
        for k in range(1, self._replicated.seeds):
            if self._compare(measured, reference).p_not_better() > REPLICATE_P:
                break
            self._report(candidate.number, f"replicating, seed {k + 1} of {self._replicated.seeds}")
            walk, cpu_s = self._search(candidate, k)
            spent += cpu_s
            if walk.fault:
                return blamed(walk, spent, self._space.rungs)
            measured.append(self._must(walk, self._full.name))
        return self._scored(candidate, reference, measured, observable, spent, first.evidence)

    def _worth_going_on(self, candidate: Candidate, reference: Candidate) -> Continue:
        def decide(found: Measurement) -> bool:
            if found.rung != self._short.name or reference.number == candidate.number:
                return True
            against = self._must(self._search(reference, 0)[0], self._short.name)
            early = pair([found], [against], self._space.metric, self._seed_variance)
            self._report(candidate.number, f"short rung: {early.effect:+.4f} against #{reference.number}")
            return early.interval(2 * GIVE_UP_ALPHA)[1] > 0

        return decide

    def _scored(
        self,
        candidate: Candidate,
        reference: Candidate,
        measured: Sequence[Measurement],
        observable: Observable | None,
        spent: float,
        evidence: Evidence,
    ) -> Scored:
        metric, rung = self._space.metric, measured[0].rung
        against = self._at(reference, measured)
        paired = pair(measured, against, metric, self._seed_variance)
        assert self._seed_candidate is not None
        gain = pair(measured, self._at(self._seed_candidate, measured), metric, self._seed_variance)
        still = did_not_move(observable, measured, against)
        found = verdict(paired, metric, SEARCH_ALPHA, self._minimum_effect, moved=still)
        replicated = rung == self._full.name and len(measured) == self._replicated.seeds
        return Scored(
            rung=self._replicated.name if replicated else rung,
            score=mean_of([m.mean(metric) for m in measured]),
            gain=gain.effect,
            standard_error=gain.standard_error,
            seeds=len(measured),
            metrics=means(measured, self._task.metrics),
            observables=claims(measured),
            verdict=found,
            promising=replicated and found.decision == "better",
            cpu_s=spent,
            evidence=evidence,
        )

    # --- confirmation and the final fit ------------------------------------------------------

    def confirm(
        self, challenger: Candidate, champion: Candidate, alpha: float, replicates: int | None = None
    ) -> Verdict:
        """Compares on the confirmation users, under seeds that the search never used: as many as the space says, unless
        the first leaves no hope; or `replicates`."""
        seeds = range(replicates or self._space.confirmation_seeds)

        def measure(k: int) -> tuple[Walk, Walk]:
            return self._confirmation(challenger, k), self._confirmation(champion, k)

        self._report(challenger.number, f"confirming against #{champion.number} on unseen users, {len(seeds)} seeds")
        walks = self._each(measure, seeds[:1])
        if replicates or self._hopeful(walks):
            walks += self._each(measure, seeds[1:])
        metric = self._space.metric
        broken = next((walk.fault for walk, _ in walks if walk.fault), None)
        if broken:
            return undecided(metric, alpha, f"the challenger broke while it was confirmed: {broken.reason}")
        return verdict(self._confirmed(walks), metric, alpha, 0.0)

    def _hopeful(self, walks: Sequence[tuple[Walk, Walk]]) -> bool:
        return walks[0][0].fault is None and self._confirmed(walks).p_not_better() <= FUTILE_P

    def _confirmed(self, walks: Sequence[tuple[Walk, Walk]]) -> Paired:
        new, old = ([self._must(walk, self._full.name) for walk in side] for side in zip(*walks, strict=True))
        return pair(new, old, self._space.metric, self._seed_variance)

    def final(self, champion: Candidate, seed: Candidate) -> FinalResult:
        """The only look at the test labels: the champion and the seed after their final fits, and the floors."""
        self._report(champion.number, "final fit, then one look at the test labels")
        walks = self.tested(champion, seed)
        found = {name: walk.measurements[-1] for name, walk in walks.items()}
        metric = self._space.metric
        rows = {name: {key: m.mean(key) for key in self._task.metrics} for name, m in found.items()}
        compared = pair([found["champion"]], [found["seed"]], metric, SeedVariance())
        return FinalResult(
            metric=metric,
            rows={**rows, **self._task.floors()},
            verdict=verdict(compared, metric, 0.025, 0.0),
            cpu_s=sum(walk.evidence.cpu_s for walk in walks.values()),
        )

    def tested(self, champion: Candidate, seed: Candidate) -> Mapping[str, Walk]:
        """What the final result is made of, per user: both candidates after their final fits and as in the run."""
        fits = {
            "champion": (champion, self._space.final, True),
            "seed": (seed, self._space.final, True),
            "champion in the run": (champion, self._full, False),
            "seed in the run": (seed, self._full, False),
        }

        def fit(name: str) -> Walk:
            candidate, rung, final = fits[name]
            walk = self._test(candidate, rung, final=final)
            self._must(walk, rung.name)
            return walk

        return dict(zip(fits, self._each(fit, tuple(fits)), strict=True))

    # --- sessions, by key --------------------------------------------------------------------

    def known(self, candidate: Candidate) -> Walk | None:
        """What the search measured of a candidate under its first seed, where that is kept; measures nothing."""
        names = [rung.name for rung in (self._smoke, self._short, self._full)]
        what, seed = (self._space.digest, self._task.digest), self.seed_of("search", 0)
        return self._store.find(walk_key(*what, candidate.fingerprint, "search", names, seed))

    def _search(self, candidate: Candidate, k: int, on_rung: Continue | None = None) -> tuple[Walk, float]:
        rungs = (self._smoke, self._short, self._full) if k == 0 else (self._full,)
        route = Route(rungs=rungs, split="search", seed=self.seed_of("search", k))
        return self._walk(candidate, route, on_rung)

    def _confirmation(self, candidate: Candidate, k: int) -> Walk:
        route = Route(rungs=(self._full,), split="confirm", seed=self.seed_of("confirm", k))
        return self._walk(candidate, route)[0]

    def _test(self, candidate: Candidate, rung: Rung, *, final: bool) -> Walk:
        route = Route(rungs=(rung,), split="test", seed=self.seed_of("final", 0), final=final)
        return self._walk(candidate, route)[0]

    def _walk(self, candidate: Candidate, route: Route, on_rung: Continue | None = None) -> tuple[Walk, float]:
        names, what = [rung.name for rung in route.rungs], (self._space.digest, self._task.digest)
        key = walk_key(*what, candidate.fingerprint, route.split, names, route.seed, final=route.final)

        def run() -> Walk:
            self._report(candidate.number, f"{route.split}: {', '.join(names)}")
            return self._sessions.walk(candidate, route, on_rung)

        walk, fresh = self._store.get_or_run(key, run)
        return walk, walk.evidence.cpu_s if fresh else 0.0

    def seed_of(self, purpose: str, k: int) -> int:
        """The k-th training seed of a purpose, of this run."""
        return seed_of(self._seed, purpose, k)

    def _at(self, candidate: Candidate, like: Sequence[Measurement]) -> list[Measurement]:
        """The candidate's measurements at the same rung and seeds as `like`; measured now where they are missing."""
        walks = (self._search(candidate, k)[0] for k in range(len(like)))
        return [self._must(walk, m.rung) for walk, m in zip(walks, like, strict=True)]

    def _compare(self, measured: Sequence[Measurement], reference: Candidate) -> Paired:
        return pair(measured, self._at(reference, measured), self._space.metric, self._seed_variance)

    def _must(self, walk: Walk, rung: str) -> Measurement:
        found = walk.at(rung)
        if found is None:
            reason = walk.fault.reason if walk.fault else "it stopped before"
            raise RunError(
                f"a trusted program did not reach the rung `{rung}` of {self._space.name}: {reason}",
                hint="Run `evolve doctor`; where the space is your own, run its seed by hand first.\n"
                + (walk.fault.detail if walk.fault else ""),
            )
        return found

    def _each(self, work: Callable[[K], V], keys: Sequence[K]) -> list[V]:
        with ThreadPoolExecutor(max_workers=max(1, len(keys))) as threads:
            return list(threads.map(work, keys))

    @property
    def _seed_variance(self) -> SeedVariance:
        if self._floor is None:
            return SeedVariance()
        return SeedVariance(variance=self._floor.seed_sd**2, freedom=self._floor.seeds - 1)

    @property
    def _minimum_effect(self) -> float:
        return self._floor.minimum_effect if self._floor else 0.0
