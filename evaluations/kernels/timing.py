"""Times one kernel and its baseline in turn, and believes a time only with the results that belong to it.

Knows mirrors and talks; knows no candidate, no statistics and no roofline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from evaluations.kernels.mirror import Mirror
from evaluations.kernels.talk import Edits, Talk
from evolve.contracts import Fault, FaultKind

AT_LEAST_S = 0.05
LEAST_CALLS, MOST_CALLS = 2, 16384
STALE = "a result was not that of its own call"


@dataclass(slots=True, kw_only=True)
class Timed:
    """One kernel staged for one case; `seconds` is what a call took in the last round."""

    talk: Talk
    mirror: Mirror
    trusted: bool = False
    """Our own baseline: it is timed in the same way, and believed."""
    calls: int = LEAST_CALLS
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The case's."""
        return self.mirror.case.name

    def stage(self) -> Fault | None:
        """Lays out inputs, and finds how many calls take 50 ms."""
        self.mirror.reset()
        if fault := self.talk.stage(self.mirror.case, self.mirror.inputs, self.mirror.slots):
            return fault
        for _ in range(2):
            if fault := self.round():
                return fault
            wanted = int(1.1 * AT_LEAST_S / max(self.seconds, 1e-7)) + 1
            self.calls = min(MOST_CALLS, max(LEAST_CALLS, wanted))
        return None

    def round(self, *, look_everywhere: bool = False) -> Fault | None:
        """One run of calls between two frames. A wrong result is a fault: of a call among them, or of a slot after; of
        large results some places are looked at, or all of them."""
        edits = self.mirror.edits(self.calls, watched=not self.trusted)
        if fault := self.talk.prepare(edits):
            return fault
        found = self.talk.run(self.calls)
        if isinstance(found, Fault):
            return found
        seconds, picked = found
        self.seconds = seconds / self.calls
        return None if self.trusted else self._wrong(edits, picked, look_everywhere)

    def _wrong(self, edits: Edits, picked: NDArray[Any], look_everywhere: bool) -> Fault | None:
        slot, places = self.mirror.any_slot(self.calls), self.mirror.places(all_of_them=look_everywhere)
        results = self.talk.collect(self.mirror.case, slot, places)
        if isinstance(results, Fault):
            return results
        if stale := self.mirror.follow(edits, picked):
            return Fault(kind=FaultKind.CAUGHT, reason=f"{STALE}: case `{self.name}`, {stale}")
        if wrong := self.mirror.difference(slot, results, places):
            return Fault(kind=FaultKind.CAUGHT, reason=f"wrong while it was timed: case `{self.name}`, {wrong}")
        return None
