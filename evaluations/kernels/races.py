"""A kernel against its baseline, round by round over all timed cases, and what the rounds say. Opens no session."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluations.kernels import diagnosis, roofline
from evaluations.kernels.baselines import Baselines
from evaluations.kernels.mirror import Mirror
from evaluations.kernels.talk import Talk
from evaluations.kernels.timing import Timed
from evaluations.kernels.truth import Truth
from evolve.contracts import Fault, FaultKind, Floats
from evolve.errors import RunError
from search_spaces.kernel_space import METRIC

ROUND_USERS = 1000
"""Round r of timed case c is user 1000 c + r."""
UPPER = 0.75
"""A kernel is impossibly fast when also this quantile of its times is."""


@dataclass(slots=True, kw_only=True)
class Race:
    """A kernel and its baseline on one case; each round they take turns in going first."""

    kernel: Timed
    baseline: Timed
    empty: float
    """Seconds of a call that does nothing."""
    ratios: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])

    def run(self, *, look_everywhere: bool) -> Fault | None:
        """One more round of both. Raises RunError where the baseline breaks."""
        runners = (self.kernel, self.baseline) if len(self.ratios) % 2 else (self.baseline, self.kernel)
        for timed in runners:
            if fault := timed.round(look_everywhere=look_everywhere):
                if timed is self.baseline:
                    raise RunError(f"a baseline broke while it was timed: {fault.reason}", hint="Run `evolve doctor`.")
                return fault
        self.ratios.append(self.baseline.seconds / self.kernel.seconds)
        self.seconds.append(self.kernel.seconds)
        return None


class Races:
    """All timed cases of one loaded kernel."""

    def __init__(self, truth: Truth, threads: int, races: list[Race], rng: np.random.Generator) -> None:
        self._truth, self._threads, self._races, self._rng = truth, threads, races, rng

    @classmethod
    def begin(
        cls, talk: Talk, truth: Truth, baselines: Baselines, threads: int, rng: np.random.Generator
    ) -> Races | Fault:
        """Stages the kernel and, on inputs of the same draw, its baselines."""
        races: list[Race] = []
        for case in truth.spec.timed:
            kernel = Timed(talk=talk, mirror=Mirror(truth, case, rng))
            baseline = baselines.timed(Mirror(truth, case, rng))
            races.append(Race(kernel=kernel, baseline=baseline, empty=baselines.empty(case)))
        return cls(truth, threads, races, rng)

    def climb(self, rounds: int) -> Fault | None:
        """Races until each case has so many rounds; one case after the other, since a session stages one at a time."""
        for race in self._races:
            missing = rounds - len(race.ratios)
            for timed in (race.kernel, race.baseline) if missing > 0 else ():
                if fault := timed.stage():
                    return fault
            whole = int(self._rng.integers(max(missing, 1)))  # the round after which all of its results are looked at
            for number in range(missing):
                if fault := race.run(look_everywhere=number == whole):
                    return fault
            if cheat := self._impossible(race):
                return Fault(kind=FaultKind.CAUGHT, reason=f"faster than this machine can be: {cheat}")
        return None

    def _impossible(self, race: Race) -> str:
        """Why nobody can be so fast, after the machine was measured once more; empty where it is possible."""
        seconds = float(np.quantile(race.seconds, UPPER))
        spec, mirror = self._truth.spec, race.kernel.mirror
        if not diagnosis.impossible(spec, mirror, seconds, roofline.measured(self._threads)):
            return ""
        return diagnosis.impossible(spec, mirror, seconds, roofline.measured_again(self._threads))

    def users(self) -> NDArray[np.int64]:
        """Cases and rounds, as numbers."""
        numbers = [ROUND_USERS * c + r for c, race in enumerate(self._races) for r in range(len(race.ratios))]
        return np.array(numbers, np.int64)

    def metrics(self) -> dict[str, Floats]:
        """`log2_speed` of each case and round, and of each case alone."""
        found = {METRIC: np.log2(np.concatenate([race.ratios for race in self._races]))}
        counts = [len(race.ratios) for race in self._races]
        for number, race in enumerate(self._races):
            mine = np.repeat(np.arange(len(counts)), counts) == number
            found[f"{METRIC}_{race.kernel.name}"] = np.where(mine, found[METRIC], np.nan)
        return found

    def observables(self) -> dict[str, float]:
        """What holds the kernel back, without what every call costs; see `diagnosis`."""
        seconds = {race.kernel.name: _working(race) for race in self._races}
        mirrors = [race.kernel.mirror for race in self._races]
        return diagnosis.observables(self._truth.spec, mirrors, seconds, roofline.measured(self._threads))

    def compute_s(self) -> float:
        """Seconds of timed calls, both sides."""
        return sum(race.kernel.calls * sum(race.seconds) for race in self._races)


def _working(race: Race) -> float:
    """Seconds of the kernel's own work in a call: at least a tenth of what the call takes."""
    whole = float(np.median(race.seconds))
    return max(whole - race.empty, whole / 10)
