"""Measures a run again and compares. Knows what counts as equal; what measures is an Evaluator that it is given.

Where the machine and the versions are those of the run, everything that the journal chains must be equal to the
last bit. Elsewhere an effect may differ by what the run's own noise floor explains, at 5 % over the whole table.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

from evolve import records
from evolve.archive import Archive, Confirmation
from evolve.contracts import Attempt, Candidate, Evaluator, Evidence, NoiseFloor, Scored, Verdict
from evolve.errors import RunError
from evolve.journal import split_measured

LEVEL = 0.05
"""The chance that an honest run on another machine is called not reproduced."""

State = Literal["equal", "within noise", "differs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row: what was recorded, what was found now, and why they differ where they do."""

    number: int
    what: Literal["noise floor", "search", "confirmation", "test labels"]
    state: State
    recorded: str
    found: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One measured thing: everything of it that no clock fills, its effect where it has one, and how to say it."""

    chained: Mapping[str, Any]
    effect: float | None
    seeds: int
    words: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """One row to come: what was recorded, and how to measure it now."""

    number: int
    what: Literal["noise floor", "search", "confirmation", "test labels"]
    recorded: _Figure
    measure: Callable[[], _Figure]
    after: int = 0
    """The candidate that must be measured before: a judge that asked for it meanwhile would hold two sessions."""


def sample(archive: Archive, references: Mapping[int, Candidate], count: int | None, seed: int) -> list[int]:
    """The numbers of the candidates to verify: all that were judged, or `count` of them drawn by `seed` and the
    leaders that these were judged against."""
    judged = [attempt.candidate.number for attempt in archive.attempts]
    if count is None or count >= len(judged):
        return judged
    wanted, drawn = set[int](), set(random.Random(seed).sample(judged, count))
    while drawn:
        wanted |= drawn
        drawn = {references[number].number for number in drawn} - wanted - {0}
    return sorted(wanted)


def differences(recorded: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What decides bits and differs: name -> `recorded -> now`."""
    names = [*recorded, *(name for name in now if name not in recorded)]
    pairs = {name: (recorded.get(name, "not recorded"), now.get(name, "none")) for name in names}
    return {name: f"{before} -> {after}" for name, (before, after) in pairs.items() if before != after}


def verify(
    archive: Archive,
    numbers: Sequence[int],
    references: Mapping[int, Candidate],
    evaluator: Evaluator,
    *,
    elsewhere: Mapping[str, str],
    workers: int,
) -> Iterator[Finding]:
    """Measures the noise floor, the candidates `numbers`, their confirmations and, where all are verified, the test
    labels again, with `workers` at once; yields one finding each, in that order.

    Args:
        references: candidate's number -> what it was judged against; every one but the seed must be in `numbers`.
        evaluator: must measure anew; one that answers from the run's own measurements proves nothing.
        elsewhere: what differs from where the run was made (see `differences`); empty asks for equal bits.

    Raises:
        RunError: the run has no noise floor yet.
    """
    if archive.floor is None:
        raise RunError("the run has measured nothing yet", hint="Continue it with --resume, then verify it.")
    floor = archive.floor
    checks = [*_searches(archive, numbers, references, evaluator), *_looks(archive, numbers, evaluator)]
    if archive.final is not None and len(numbers) == len(archive.attempts):
        checks.append(_final(archive, evaluator))
    quantile = NormalDist().inv_cdf(1 - LEVEL / 2 / (1 + len(checks)))
    first = _Check(
        number=0,
        what="noise floor",
        recorded=_of_floor(floor),
        measure=lambda: _of_floor(evaluator.measure_floor(archive.seed)),
    )
    yield _compare(first, first.measure(), floor, elsewhere, quantile)
    evaluator.resume_from(archive.seed, floor)
    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        try:
            for check, found in zip(checks, _submitted(pool, checks), strict=True):
                yield _compare(check, found.result(), floor, elsewhere, quantile)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _submitted(pool: ThreadPoolExecutor, checks: Sequence[_Check]) -> list[Future[_Figure]]:
    """The checks in their order, each begun when the candidate that it comes after is measured."""
    searched: dict[int, Future[_Figure]] = {}
    futures: list[Future[_Figure]] = []
    for check in checks:
        first = searched.get(check.after)

        def measure(check: _Check = check, before: Future[_Figure] | None = first) -> _Figure:
            if before is not None:
                before.result()  # begun earlier, so it never waits for this one
            return check.measure()

        futures.append(pool.submit(measure))
        if check.what == "search":
            searched[check.number] = futures[-1]
    return futures


def _searches(
    archive: Archive, numbers: Sequence[int], references: Mapping[int, Candidate], evaluator: Evaluator
) -> Iterator[_Check]:
    wanted = set(numbers)
    for attempt in archive.attempts:
        number = attempt.candidate.number
        if number in wanted:

            def measure(attempt: Attempt = attempt, reference: Candidate = references[number]) -> _Figure:
                return _of_outcome(evaluator.judge(attempt.candidate, reference, attempt.proposal.observable))

            recorded, after = _of_outcome(attempt.outcome), references[number].number
            yield _Check(number=number, what="search", recorded=recorded, measure=measure, after=after)


def _looks(archive: Archive, numbers: Sequence[int], evaluator: Evaluator) -> Iterator[_Check]:
    wanted = set(numbers)
    for look in archive.confirmations:
        if look.number in wanted:

            def measure(look: Confirmation = look) -> _Figure:
                challenger, champion = archive.candidates[look.number], archive.candidates[look.against]
                return _of_verdict(evaluator.confirm(challenger, champion, look.verdict.alpha))

            recorded = _of_verdict(look.verdict)
            yield _Check(number=look.number, what="confirmation", recorded=recorded, measure=measure)


def _final(archive: Archive, evaluator: Evaluator) -> _Check:
    assert archive.final is not None and archive.champion is not None
    champion, recorded = archive.champion, archive.final

    def figure(final: Any) -> _Figure:
        return _figure(records.final_to_json(final), final.verdict.effect, final.verdict.seeds, "", None)

    return _Check(
        number=champion.number,
        what="test labels",
        recorded=figure(recorded),
        measure=lambda: figure(evaluator.final(champion, archive.seed)),
    )


def _of_floor(floor: NoiseFloor) -> _Figure:
    return _figure(records.floor_to_json(floor), floor.score, floor.seeds, f"{floor.metric} ", None)


def _of_verdict(verdict: Verdict) -> _Figure:
    return _figure(records.verdict_to_json(verdict), verdict.effect, verdict.seeds, f"{verdict.decision} ", None)


def _of_outcome(outcome: Any) -> _Figure:
    body, evidence = records.outcome_to_json(outcome), getattr(outcome, "evidence", None)
    if isinstance(outcome, Scored):
        return _figure(body, outcome.gain, outcome.seeds, f"{outcome.rung} ", evidence)
    return _figure(body, None, 0, f"{outcome.kind}: {outcome.reason}", evidence)


def _figure(body: Mapping[str, Any], effect: float | None, seeds: int, words: str, seen: Evidence | None) -> _Figure:
    said = words if effect is None else f"{words}{effect:+.6f}"
    return _Figure(
        chained=split_measured(body)[0],
        effect=effect,
        seeds=max(1, seeds),
        words=said,
        versions=seen.versions if seen else {},
    )


def _compare(
    check: _Check, found: _Figure, floor: NoiseFloor, elsewhere: Mapping[str, str], quantile: float
) -> Finding:
    recorded = check.recorded
    if recorded.chained == found.chained:
        return _row(check, found, "equal", "")
    where = "; ".join(f"{name} {change}" for name, change in elsewhere.items())
    inside = differences(recorded.versions, found.versions) if recorded.versions and found.versions else {}
    where = "; ".join([where, *(f"sandbox's {name} {change}" for name, change in inside.items())]).strip("; ")
    if not where:
        return _row(check, found, "differs", f"same machine, versions and seeds: {_first_difference(recorded, found)}")
    if recorded.effect is None or found.effect is None:
        return _row(check, found, "differs", f"{_first_difference(recorded, found)}; {where}")
    allowed = quantile * math.hypot(_spread(floor, recorded.seeds), _spread(floor, found.seeds))
    off = abs(recorded.effect - found.effect)
    state: State = "within noise" if off <= allowed else "differs"
    return _row(check, found, state, f"off by {off:.6f}, noise explains {allowed:.6f}; {where}")


def _spread(floor: NoiseFloor, seeds: int) -> float:
    """The standard error of an effect over so many training seeds; the floor's `minimum_effect` is one of these."""
    return math.sqrt((2 * floor.seed_sd**2 + floor.paired_se**2) / seeds)


def _row(check: _Check, found: _Figure, state: State, why: str) -> Finding:
    words = (check.recorded.words, found.words)
    return Finding(
        number=check.number, what=check.what, state=state, recorded=words[0], found=words[1], why=why
    )  # fmt: skip


def _first_difference(recorded: _Figure, found: _Figure) -> str:
    before, after = _flat(recorded.chained), _flat(found.chained)
    name = next(key for key in ["kind", *before, *after] if before.get(key) != after.get(key))
    return f"{name} was {before.get(name, 'absent')}, now {after.get(name, 'absent')}"


def _flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in body.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
