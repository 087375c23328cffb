"""Says what holds a kernel back: bytes, arithmetic, or neither. Knows timings and a roofline, and no code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LATENCY_BELOW = 0.25
"""Below this share of both roofs neither roof is what holds the kernel back."""


class Bound(StrEnum):
    """What the time goes into."""

    MEMORY = "memory"
    COMPUTE = "compute"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What the machine can do at best, as measured: bytes and flops a second."""

    bytes_per_s: float
    flops_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One shape: seconds a call, and the least bytes and flops that the result needs."""

    seconds: float
    bytes_moved: float
    flops: float

    def floor_s(self, roofline: Roofline) -> float:
        """The least time that the roofline allows."""
        return max(self.bytes_moved / roofline.bytes_per_s, self.flops / roofline.flops_per_s)

    def share(self, roofline: Roofline) -> float:
        """The share of the roof that was reached."""
        return self.floor_s(roofline) / self.seconds


def diagnose(timings: Sequence[Timing], roofline: Roofline) -> Bound:
    """What most of the time lost to the roofline is lost to, over all timings.

    A shape far below its roofs loses its time to latency; any other to the roof that is nearer.
    """
    lost = dict.fromkeys(Bound, 0.0)
    for timing in timings:
        lost[_bound(timing, roofline)] += max(0.0, 1.0 - timing.share(roofline))
    return max(Bound, key=lambda bound: lost[bound])


def _bound(timing: Timing, roofline: Roofline) -> Bound:
    if timing.share(roofline) < LATENCY_BELOW:
        return Bound.LATENCY
    memory = timing.bytes_moved / roofline.bytes_per_s
    return Bound.MEMORY if memory >= timing.flops / roofline.flops_per_s else Bound.COMPUTE
