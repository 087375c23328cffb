"""Whether a kernel is right: every adversarial, every timed and a few secret cases. Knows no time and no baseline."""

from __future__ import annotations

import numpy as np

from evaluations.kernels.inputs import draw, secret_cases
from evaluations.kernels.talk import Talk
from evaluations.kernels.truth import Truth
from evolve.contracts import Fault, FaultKind
from search_spaces.kernel_spec import Case


def wrong(talk: Talk, truth: Truth, rng: np.random.Generator) -> Fault | None:
    """The first case that the kernel gets wrong, or None. Inputs are drawn now: the kernel was loaded before."""
    cases = [*truth.spec.cases, *secret_cases(truth.spec, rng)]
    for case in cases:
        if fault := _wrong_case(talk, truth, case, rng):
            return fault
    return None


def _wrong_case(talk: Talk, truth: Truth, case: Case, rng: np.random.Generator) -> Fault | None:
    inputs = draw(truth.spec, case, rng)
    found = talk.call(case, inputs)
    if isinstance(found, Fault):
        return Fault(kind=found.kind, reason=f"case `{case.name}`: {found.reason}", detail=found.detail)
    results, after = found
    for (name, before), now in zip(inputs.items(), after, strict=True):
        if before.tobytes() != now.tobytes():
            return Fault(kind=FaultKind.CAUGHT, reason=f"case `{case.name}`: the kernel changed its input `{name}`")
    difference = truth.difference(case, inputs, results, {})
    if difference:
        return Fault(kind=FaultKind.WRONG, reason=f"wrong result: case `{case.name}`, {difference}")
    return None
