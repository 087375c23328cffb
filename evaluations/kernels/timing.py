"""Times one kernel and its baseline in turn, and believes a time only with the results that belong to it.

Knows mirrors and talks; knows no candidate, no statistics and no roofline.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluations.kernels.mirror import Mirror
from evaluations.kernels.talk import Talk
from evolve.contracts import Fault, FaultKind

AT_LEAST_S = 0.05
LEAST_CALLS, MOST_CALLS = 2, 16384
STALE = "a result was not that of its own call"


@dataclass(slots=True, kw_only=True)
class Timed:
    """One kernel staged for one case; `seconds` is what a call took in the last round."""

    talk: Talk
    mirror: Mirror
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

    def round(self) -> Fault | None:
        """One run of calls between two frames. A wrong result is a fault: of a call among them, or of a slot after."""
        edits = self.mirror.edits(self.calls)
        if fault := self.talk.prepare(edits):
            return fault
        found = self.talk.run(self.calls)
        if isinstance(found, Fault):
            return found
        seconds, picked = found
        slot = self.mirror.any_slot(self.calls)
        results = self.talk.collect(self.mirror.case, slot)
        if isinstance(results, Fault):
            return results
        self.seconds = seconds / self.calls
        if stale := self.mirror.follow(edits, picked):
            return Fault(kind=FaultKind.CAUGHT, reason=f"{STALE}: case `{self.name}`, {stale}")
        if wrong := self.mirror.difference(slot, results):
            return Fault(kind=FaultKind.CAUGHT, reason=f"wrong while it was timed: case `{self.name}`, {wrong}")
        return None
