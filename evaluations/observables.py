"""What trained models claim of themselves, and the means of what was measured of them. Claims veto, they never win."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evolve.contracts import Measurement, Observable


def did_not_move(
    observable: Observable | None, measured: Sequence[Measurement], against: Sequence[Measurement]
) -> str | None:
    """Why the declared observable vetoes a gain, or None. Observables are claims: they never make a win."""
    if observable is None:
        return None
    new = claims(measured).get(observable.name)
    if new is None:
        return f"the declared observable `{observable.name}` was not reported"
    if observable.direction == "present":
        return None if new != 0 else f"the declared observable `{observable.name}` is zero"
    old = claims(against).get(observable.name, 0.0)
    moved = new > old if observable.direction == "up" else new < old
    if moved:
        return None
    return f"the declared observable `{observable.name}` did not go {observable.direction} ({old:.4g} -> {new:.4g})"


def claims(measured: Sequence[Measurement]) -> dict[str, float]:
    """Each claim that was made under every seed, averaged over seeds."""
    names = set(measured[0].observables).intersection(*(m.observables for m in measured))
    return {name: mean_of([m.observables[name] for m in measured]) for name in sorted(names)}


def means(measured: Sequence[Measurement], metrics: Sequence[str]) -> dict[str, float]:
    """Each metric averaged over users and seeds; one that is undefined for all users is left out."""
    found = {name: mean_of([m.mean(name) for m in measured]) for name in metrics}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def mean_of(values: Sequence[float]) -> float:
    """The plain mean."""
    return sum(values) / len(values)
