"""How an experiment's guardrails stand: each one's effect with an interval that holds on all days. Decides nothing.

The rules themselves are `evaluations.experiments.rules`; a picture needs no more than what they look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evolve.campaign import Experiment
from evolve.web.charts import Scale

ALPHA = 0.05
LEAST_REACH = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One guardrail; places in percent of the picture."""

    metric: str
    told: str
    at: float
    low: float
    high: float
    sign: str


def guards(one: Experiment, settings: Mapping[str, Any]) -> tuple[list[Guard], float]:
    """The guardrails that have complete cohorts, and where zero is. Effects are shares of the control's mean."""
    found = _measured(one, settings)
    # Intervals are wide at first: the picture shows the effects whole, and their intervals as far as they fit.
    reach = max([2.5 * abs(effect) for _, effect, _ in found] + [LEAST_REACH])
    x = Scale(low=-reach, high=reach, start=3, end=97)
    rows = [
        Guard(
            metric=metric,
            told=f"{100 * effect:+.2f} % [{100 * (effect - half):+.2f}, {100 * (effect + half):+.2f}]",
            at=x(effect),
            low=x(max(effect - half, -reach)),
            high=x(min(effect + half, reach)),
            sign="up" if effect - half > 0 else "down" if effect + half < 0 else "even",
        )
        for metric, effect, half in found
    ]
    return rows, x(0.0)


def _measured(one: Experiment, settings: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Metric, effect and half of its interval."""
    from evaluations.experiments.desk import GUARDRAILS, effect
    from evaluations.experiments.evidence import best_precision, interval
    from evaluations.experiments.ledger import Ledger
    from evolve.config import OnlineConfig
    from evolve.outer_loop import plan

    names = ("users", "enrol")
    stages = tuple((int(day), float(share)) for day, share in settings.get("stages", OnlineConfig().stages))
    config = OnlineConfig(stages=stages, **{name: settings[name] for name in names if name in settings})
    precision, ledger = best_precision(plan(config).information, ALPHA), Ledger()
    ledger.add(one.reports)
    rows: list[tuple[str, float, float]] = []
    for metric in GUARDRAILS:
        arms = ledger.moments(one.name, metric, one.shares)
        if one.challenger not in arms or arms[one.challenger].n.sum() <= 1:
            continue
        seen = effect(arms, one.control, one.challenger)
        if not len(seen.information) or seen.information[-1] <= 0:
            continue
        low, high = interval(seen, ALPHA, precision)
        rows.append((metric, float(seen.effect[-1]), float(high[-1] - low[-1]) / 2))
    return rows
