"""Turns the fault that ended a candidate's session into its outcome. Knows no metric and no statistics."""

from __future__ import annotations

from collections.abc import Sequence

from evaluations.store import Walk
from evolve.contracts import Cheated, Failed, FaultKind, Rung, TimedOut


def blamed(walk: Walk, spent_cpu_s: float, rungs: Sequence[Rung]) -> Failed | TimedOut | Cheated:
    """The outcome of a walk that ended in a fault; `spent_cpu_s` is what all of the candidate's sessions used."""
    fault = walk.fault
    assert fault is not None
    if fault.kind is FaultKind.TIMED_OUT:
        limit_s = next(rung.limit_s for rung in rungs if rung.name == walk.fault_rung)
        return TimedOut(
            rung=walk.fault_rung, reason=fault.reason, limit_s=limit_s, cpu_s=spent_cpu_s, evidence=walk.evidence
        )
    kind = Cheated if fault.kind is FaultKind.CAUGHT else Failed
    return kind(
        rung=walk.fault_rung,
        reason=fault.reason,
        detail=fault.detail or walk.evidence.stderr_tail[-4000:],
        cpu_s=spent_cpu_s,
        evidence=walk.evidence,
    )
