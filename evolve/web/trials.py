"""Experiments as their page shows them: each challenger's interval day by day, its evidence, and how it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from evolve.campaign import Experiment, candidate_of
from evolve.contracts import Action
from evolve.web.charts import Scale, Tick, ticks
from evolve.web.guardrails import guards
from evolve.web.readings import Reading

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 26
EVIDENCE_HEIGHT = 70
METRICS_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """The confidence sequence of one experiment as a picture: a band, a line, a dot for each look, and the evidence."""

    width: int
    height: int
    left: int
    right: int
    bottom: int
    band: str
    line: str
    zero: float
    dots: tuple[tuple[float, float, str], ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    evidence: str
    needed: float
    told: str


def context_of(reading: Reading) -> dict[str, Any]:
    """What the page names: every experiment, the newest first, and the queue."""
    campaign = reading.archive.campaign
    started = {one.challenger for one in campaign.experiments}
    return {
        "settings": campaign.settings,
        "day": campaign.day,
        "serving": campaign.champion,
        "trials": [_trial(reading, one) for one in reversed(campaign.experiments)],
        "queue": [
            {"candidate": candidate_of(queued.challenger), "reason": queued.reason}
            for queued in campaign.queue.values()
            if queued.challenger not in started
        ],
    }


def sequence(one: Experiment) -> Sequence | None:
    """The picture of an experiment's looks; None before the first that says anything."""
    looks = [look for look in one.looks if math.isfinite(look.decision.low) and math.isfinite(look.decision.high)]
    if not looks:
        return None
    ends = [value for look in looks for value in (look.decision.low, look.decision.high)]
    effects = [look.decision.effect for look in looks]
    # The first days' intervals are wide: the picture shows what matters at the end, and lets those run out of it.
    reach = max(4 * max(map(abs, effects)), 1.2 * max(map(abs, ends[-2:])), 1e-6)
    low, high = max(min(*ends, 0.0), -reach), min(max(*ends, 0.0), reach)
    first, last = one.begun, max(looks[-1].day, one.begun + 1)
    x = Scale(low=first, high=last, start=LEFT, end=WIDTH - RIGHT)
    y = Scale(low=low, high=high, start=HEIGHT - BOTTOM, end=TOP)
    upper = [f"{x(look.day)} {y(look.decision.high)}" for look in looks]
    lower = [f"{x(look.day)} {y(look.decision.low)}" for look in reversed(looks)]
    final = looks[-1].decision
    evidence, needed = _evidence(one, x)
    return Sequence(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BOTTOM,
        band=f"M{'L'.join(upper)}L{'L'.join(lower)}Z",
        line="M" + "L".join(f"{x(look.day)} {y(look.decision.effect)}" for look in looks),
        zero=y(0.0),
        dots=tuple((x(k.day), y(k.decision.effect), f"day {k.day}: {_interval(k.decision)}") for k in looks),
        across=tuple(Tick(at=x(v), label=f"{v:.0f}") for v in ticks(first, last, 6, whole=True)),
        up=tuple(Tick(at=y(v), label=f"{100 * v:+.2g} %" if v else "0") for v in ticks(low, high, 4)),
        evidence=evidence,
        needed=needed,
        told=f"Effect over {len(looks)} looks; the last, on day {looks[-1].day}: {_interval(final)}",
    )


def _evidence(one: Experiment, x: Scale) -> tuple[str, float]:
    """The evidence by day as a line, and the height that promotes."""
    needed = max(-math.log(max(one.looks[-1].decision.alpha, 1e-12)), 1e-6)
    found = [(look.day, look.decision.log_e) for look in one.looks if math.isfinite(look.decision.log_e)]
    top = max([1.15 * needed, *(1.05 * value for _, value in found)])
    y = Scale(low=min([0.0, *(value for _, value in found)]), high=top, start=EVIDENCE_HEIGHT - 4, end=8)
    return "M" + "L".join(f"{x(day)} {y(value)}" for day, value in found) if found else "", y(needed)


def _interval(decision: Any) -> str:
    """Nothing before the first complete cohort."""
    if not math.isfinite(decision.low):
        return ""
    return f"{100 * decision.effect:+.2f} % [{100 * decision.low:+.2f}, {100 * decision.high:+.2f}]"


def _trial(reading: Reading, one: Experiment) -> dict[str, Any]:
    end, last = one.end, one.looks[-1] if one.looks else None
    number = candidate_of(one.challenger)
    proposal = reading.proposal(number) if number < len(reading.archive.candidates) else None
    state = end.decision.action.value if end else "running"
    rails, zero = guards(one, reading.archive.campaign.settings)
    return {
        "number": one.number,
        "kind": one.kind,
        "candidate": number,
        "control": candidate_of(one.control),
        "technique": proposal.technique if proposal else "seed",
        "state": {Action.PROMOTE.value: "promoted", Action.DROP.value: "dropped"}.get(state, state),
        "days": f"day {one.begun} to {end.day}" if end else f"since day {one.begun}",
        "traffic": list(one.traffic.items()),
        "last": last.decision if last else None,
        "interval": _interval(last.decision) if last else "",
        "shrunk": f"{100 * last.decision.shrunk:+.2f} %" if last and last.decision.shrunk is not None else "",
        "picture": sequence(one),
        "guards": rails,
        "zero": zero,
        "metrics": sorted({report.metric for report in one.reports})[:METRICS_SHOWN],
        "reports": len(one.reports),
        "reason": one.reason,
    }
