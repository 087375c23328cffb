"""What is right: runs an operator's reference, our own code, and compares results with it. Knows no sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.kernels.inputs import Arrays
from search_spaces.kernel_spec import Case, KernelSpec


class Truth:
    """One operator's reference. `reference` is the text of its reference.py: trusted, and run in this process."""

    def __init__(self, spec: KernelSpec, reference: str) -> None:
        import torch

        self.spec = spec
        self._torch = torch
        names: dict[str, Any] = {}
        exec(compile(reference, f"<reference of {spec.name}>", "exec"), names)  # noqa: S102 - the project's own file
        self._reference: Callable[..., Any] = names["reference"]
        self._touched: Callable[[Mapping[str, Any], int], int] = names["touched"]
        self._again: Callable[..., Any] | None = names.get("again")

    def expected(self, case: Case, inputs: Arrays) -> list[NDArray[Any]]:
        """The right outputs, in the spec's order."""
        tensors = [self._torch.from_numpy(inputs[array.name]) for array in self.spec.inputs]
        with self._torch.no_grad():
            found = self._reference(*tensors, **self.spec.named(case))
        return [tensor.numpy() for tensor in (found if isinstance(found, tuple) else (found,))]

    def touched(self, case: Case, inputs: Arrays, index: int) -> int:
        """A flat place of the first output that depends on the flat place `index` of the edited input."""
        tensors = {name: self._torch.from_numpy(array) for name, array in inputs.items()}
        return self._touched({**tensors, **self.spec.named(case)}, index)

    @property
    def is_open(self) -> bool:
        """Whether more than one answer is right."""
        return self._again is not None

    def difference(
        self, case: Case, inputs: Arrays, found: Sequence[NDArray[Any]], places: Mapping[str, NDArray[np.int64]]
    ) -> str:
        """Where results are wrong, in words; empty where all of them are right. Of an output in `places` only those
        flat places were found.

        Where the reference's file has `again`, more than one answer is right (ties): the first output must be the
        reference's, and what `again` makes of all outputs must be the first output.
        """
        expected = [
            whole.reshape(-1)[places[array.name]] if array.name in places else whole
            for array, whole in zip(self.spec.outputs, self.expected(case, inputs), strict=True)
        ]
        if self._again is None:
            pairs = [*zip(self.spec.outputs, found, expected, strict=True)]
        else:
            first = self.spec.outputs[0]
            pairs = [(first, found[0], expected[0]), (first, found[0], self._made_again(inputs, found))]
        for array, mine, theirs in pairs:
            wrong = ~self.close(mine, theirs)
            if wrong.any():
                place = tuple(int(axis[0]) for axis in np.nonzero(wrong))
                values = f"expected {theirs[place]:.9g}, found {mine[place]:.9g}"
                return f"{array.name}{list(place)}: {values}; {int(wrong.sum())} of {wrong.size} places are wrong"
        return ""

    def _made_again(self, inputs: Arrays, found: Sequence[NDArray[Any]]) -> NDArray[Any]:
        assert self._again is not None
        tensors = {name: self._torch.from_numpy(array) for name, array in inputs.items()}
        return self._again(tensors, *(self._torch.from_numpy(array.copy()) for array in found)).numpy()

    def close(self, found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
        """Which places agree within the tolerance; whole numbers, NaN and infinity must be equal."""
        if expected.dtype.kind != "f":
            return np.asarray(found == expected)
        allowed = self.spec.tolerance[str(expected.dtype)]
        with np.errstate(invalid="ignore", over="ignore"):
            near = np.abs(found - expected) <= allowed.absolute + allowed.relative * np.abs(expected)
            finite = np.isfinite(expected)
        return np.where(finite, near, (found == expected) | (np.isnan(found) & np.isnan(expected)))
