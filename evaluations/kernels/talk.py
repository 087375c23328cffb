"""One kernel in one session: calls it, times it between two frames, and brings its results back. Judges nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.kernels.inputs import Arrays
from evolve.contracts import Fault, Session
from search_spaces.kernel_spec import Case, KernelSpec

CALL, STAGE, PREPARE, RUN, COLLECT = range(5)
Results = list[NDArray[Any]]
Places = Mapping[str, NDArray[np.int64]]
"""Output -> the flat places that are looked at; an output that is not named is looked at whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What changes before each call: values at flat places of the edited input, and which place to look at after it.

    `places` and `values` have shape (calls, edits), `picks` (calls,).
    """

    places: NDArray[np.int64]
    values: NDArray[Any]
    picks: NDArray[np.int64]


class Talk:
    """Speaks the harness's commands over a session. Every method gives a Fault where the kernel broke."""

    def __init__(
        self, session: Session, spec: KernelSpec, limit_s: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._session, self._spec, self._limit_s, self._clock = session, spec, limit_s, clock

    def load(self) -> Fault | None:
        """Loads the kernel; nothing of its inputs exists before."""
        found = self._session.train(1, self._limit_s)
        return found if isinstance(found, Fault) else None

    def call(self, case: Case, inputs: Arrays) -> tuple[Results, Results] | Fault:
        """The outputs of one call, and the inputs as they are after it."""
        arrays = list(inputs.values())
        forms = [*self._outputs(case), *((array.shape, array.dtype) for array in arrays)]
        found = self._ask(CALL, self._given(case, inputs), forms)
        if isinstance(found, Fault):
            return found
        return found[: -len(arrays)], found[-len(arrays) :]

    def stage(self, case: Case, inputs: Arrays, slots: int) -> Fault | None:
        """Lays out `slots` copies of the inputs, and calls the kernel on each."""
        given = {**self._given(case, inputs), "slots": np.array([slots])}
        return self._do(STAGE, given)

    def prepare(self, edits: Edits) -> Fault | None:
        """Hands over the edits of the next run, so that the frames around it are short."""
        return self._do(PREPARE, {"places": edits.places, "values": edits.values, "picks": edits.picks})

    def run(self, calls: int) -> tuple[float, NDArray[Any]] | Fault:
        """Seconds between the two frames around `calls` calls, and what was picked after each."""
        dtype = np.dtype(self._spec.outputs[0].dtype)
        begun = self._clock()
        found = self._ask(RUN, {}, [((calls,), dtype)])
        seconds = self._clock() - begun
        return found if isinstance(found, Fault) else (seconds, found[0])

    def collect(self, case: Case, slot: int, places: Places) -> Results | Fault:
        """The outputs of one slot: flat where places are named, else whole."""
        forms = [
            (places[array.name].shape if array.name in places else shape, dtype)
            for array, (shape, dtype) in zip(self._spec.outputs, self._outputs(case), strict=True)
        ]
        asked = {f"at.{name}": flat for name, flat in places.items()}
        return self._ask(COLLECT, {"slot": np.array([slot]), **asked}, forms)

    def _outputs(self, case: Case) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
        return [(self._spec.shape(array, case), np.dtype(array.dtype)) for array in self._spec.outputs]

    def _given(self, case: Case, inputs: Arrays) -> dict[str, NDArray[Any]]:
        given = {f"in.{name}": array for name, array in inputs.items()}
        given |= {f"strided.{name}": np.array([name in case.strided]) for name in inputs}
        shapes = {array.name: self._spec.shape(array, case) for array in self._spec.outputs}
        given |= {f"shape.{name}": np.array(shape, np.int64) for name, shape in shapes.items()}
        return {**given, "sizes": np.array([case.sizes[name] for name in self._spec.dimensions], np.int64)}

    def _do(self, command: int, given: Mapping[str, NDArray[Any]]) -> Fault | None:
        queries = {"command": np.array([command]), **given}
        found = self._session.predict(queries, (1,), self._limit_s)
        return found if isinstance(found, Fault) else None

    def _ask(
        self, command: int, given: Mapping[str, NDArray[Any]], forms: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]
    ) -> Results | Fault:
        """Arrays of the given forms. They travel as pairs of bytes, each as a finite float."""
        sizes = [int(np.prod(shape, dtype=np.int64)) * dtype.itemsize for shape, dtype in forms]
        queries = {"command": np.array([command]), **given}
        answer = self._session.predict(queries, ((sum(sizes) + 1) // 2,), self._limit_s)
        if isinstance(answer, Fault):
            return answer
        raw, results, at = np.clip(answer, 0, 65535).astype(np.uint16).tobytes(), Results(), 0
        for (shape, dtype), size in zip(forms, sizes, strict=True):
            results.append(np.frombuffer(raw[at : at + size], dtype).reshape(shape))
            at += size
        return results
