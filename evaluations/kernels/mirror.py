"""What the judge knows of a timed run: the inputs as edited, and the right result after any call. Knows no session."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.kernels.inputs import Arrays, draw, draw_one
from evaluations.kernels.talk import Edits, Places, Results
from evaluations.kernels.truth import Truth
from search_spaces.kernel_spec import Case

EDITED_PLACES = 64
LOOKED_AT = 3
"""So many calls of a run have the place that they sent back compared."""
SAMPLED = 8192
"""Places of a large output that are looked at after most runs: what is wrong in a thousandth of them is seen."""
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
        self.reread = sum(_reread(self.inputs[table.name], self.inputs[ids.name]) for table, ids in truth.spec.gathers)
        """Bytes of rows that one call reads more than once: all but the first reading may find them in a near cache."""
        self._edited = next(array for array in truth.spec.inputs if array.name == truth.spec.edited)
        self._other = draw_one(truth.spec, self._edited, case, rng).reshape(-1)
        self.reset()

    def reset(self) -> None:
        """The slots as they are when they have just been staged."""
        edited = self.inputs[self._edited.name]
        self._states = [edited.copy() for _ in range(self.slots)]

    def edits(self, calls: int, *, watched: bool) -> Edits:
        """Edits for so many calls: a place in each of 64 equal parts of the input, from another draw of it. Where they
        are `watched`, the place that is sent back after a call depends on one of its edits."""
        rng = self._rng
        other = self._other
        parts = min(EDITED_PLACES, other.size)
        starts = np.arange(parts) * other.size // parts
        ends = (np.arange(parts) + 1) * other.size // parts
        places = rng.integers(starts, ends, (calls, parts))
        values = other[rng.integers(0, other.size, (calls, parts))]
        picks = np.zeros(calls, np.int64)
        if watched:
            looked = places[np.arange(calls), rng.integers(0, parts, calls)]
            picks[:] = [self._truth.touched(self.case, self.inputs, int(place)) for place in looked]
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

    def places(self, *, all_of_them: bool) -> Places:
        """Where results are looked at, drawn now: everywhere, or in some places of every output that is large."""
        if all_of_them or self._truth.is_open:
            return {}
        spec = self._truth.spec
        sizes = {array.name: int(np.prod(spec.shape(array, self.case), dtype=np.int64)) for array in spec.outputs}
        return {n: self._rng.integers(0, size, SAMPLED) for n, size in sizes.items() if size > SAMPLED}

    def difference(self, slot: int, results: Results, places: Places) -> str:
        """Where a slot's results are wrong, after the run."""
        return self._truth.difference(self.case, self._inputs(slot), results, places)

    def any_slot(self, calls: int) -> int:
        """A slot that a run of so many calls has used, drawn now."""
        return int(self._rng.integers(0, min(self.slots, calls)))

    def _inputs(self, slot: int) -> Arrays:
        return {**self.inputs, self._edited.name: self._states[slot]}


def _reread(table: NDArray[Any], ids: NDArray[Any]) -> int:
    """Bytes of rows that were named before."""
    named = ids[(ids >= 0) & (ids < len(table))]
    return (named.size - len(np.unique(named))) * table[:1].nbytes
