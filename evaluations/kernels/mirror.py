"""What the judge knows of a timed run: the inputs as edited, and the right result after any call. Knows no session."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.kernels.inputs import Arrays, draw, draw_one
from evaluations.kernels.talk import Edits, Results
from evaluations.kernels.truth import Truth
from search_spaces.kernel_spec import Case

EDITED_PLACES = 64
LOOKED_AT = 3
"""So many calls of a run have the place that they sent back compared."""
WORKING_SET = 64 << 20
MOST_SLOTS = 256
WARM_SLOTS = 2


class Mirror:
    """The slots of one session, as they must be. Edits depend on the judge's own generator alone."""

    def __init__(self, truth: Truth, case: Case, rng: np.random.Generator) -> None:
        self.case, self._truth, self._rng = case, truth, rng
        self.inputs = draw(truth.spec, case, rng)
        size = sum(array.nbytes for array in self.inputs.values())
        cold = min(MOST_SLOTS, -(-WORKING_SET // max(1, size)))
        self.slots = max(WARM_SLOTS, cold) if case.cold else WARM_SLOTS
        self._edited = next(array for array in truth.spec.inputs if array.name == truth.spec.edited)
        self._other = draw_one(truth.spec, self._edited, case, rng).reshape(-1)
        self.reset()

    def reset(self) -> None:
        """The slots as they are when they have just been staged."""
        edited = self.inputs[self._edited.name]
        self._states = [edited.copy() for _ in range(self.slots)]

    def edits(self, calls: int) -> Edits:
        """Edits for so many calls: one place in each of 64 equal parts of the input, from another draw of it."""
        rng = self._rng
        other = self._other
        parts = min(EDITED_PLACES, other.size)
        starts = np.arange(parts) * other.size // parts
        ends = (np.arange(parts) + 1) * other.size // parts
        places = rng.integers(starts, ends, (calls, parts))
        values = other[rng.integers(0, other.size, (calls, parts))]
        watched = places[np.arange(calls), rng.integers(0, parts, calls)]
        picks = np.array([self._truth.touched(self.case, self.inputs, int(place)) for place in watched], np.int64)
        return Edits(places=places, values=values, picks=picks)

    def follow(self, edits: Edits, picked: NDArray[Any]) -> str:
        """Makes the edits, and says which of a few calls, drawn now, sent back another value than the right one."""
        calls = len(edits.picks)
        looked = set(self._rng.choice(calls, min(LOOKED_AT, calls), replace=False).tolist())
        for number in range(calls):
            state = self._states[number % self.slots].reshape(-1)
            state[edits.places[number]] = edits.values[number]
            if number in looked:
                right = self._truth.expected(self.case, self._inputs(number % self.slots))[0].reshape(-1)[
                    edits.picks[number]
                ]
                if not self._truth.close(picked[number : number + 1], np.array([right])).all():
                    return f"call {number + 1} of {calls} sent back {picked[number]:.9g}, not {right:.9g}"
        return ""

    def difference(self, slot: int, results: Results) -> str:
        """Where a slot's results are wrong, after the run."""
        return self._truth.difference(self.case, self._inputs(slot), results)

    def any_slot(self, calls: int) -> int:
        """A slot that a run of so many calls has used, drawn now."""
        return int(self._rng.integers(0, min(self.slots, calls)))

    def _inputs(self, slot: int) -> Arrays:
        return {**self.inputs, self._edited.name: self._states[slot]}
