"""What holds a kernel back, from its times and the machine's roofline. Seen from outside: no claim of the kernel's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from evaluations.kernels.mirror import Mirror
from evaluations.kernels.roofline import LATENCY_SHARE, SLACK, Roofline
from search_spaces.kernel_spec import KernelSpec


def observables(
    spec: KernelSpec, mirrors: Sequence[Mirror], seconds: Mapping[str, float], roof: Roofline
) -> dict[str, float]:
    """Shares of the roofline, and the share of timed cases that memory, arithmetic or neither bounds."""
    shares: dict[str, float] = {}
    bound = {"memory_bound": 0.0, "compute_bound": 0.0, "latency_bound": 0.0}
    for mirror in mirrors:
        memory, compute = _terms(spec, mirror, roof)
        share = max(memory, compute) / seconds[mirror.case.name]
        shares[mirror.case.name] = share
        what = "latency_bound" if share < LATENCY_SHARE else "memory_bound" if memory >= compute else "compute_bound"
        bound[what] += 1 / len(mirrors)
    mean = math.exp(float(np.mean([math.log(share) for share in shares.values()])))
    return {"roofline": mean, **{f"roofline_{name}": share for name, share in shares.items()}, **bound}


def impossible(spec: KernelSpec, mirror: Mirror, seconds: float, roof: Roofline) -> str:
    """Why nobody can be so fast; empty where it is possible."""
    memory, compute = _terms(spec, mirror, roof)
    least = max(memory, compute) / SLACK
    if seconds >= least:
        return ""
    return (
        f"case `{mirror.case.name}`: {1e6 * seconds:.1f} us a call, where this machine needs at least {1e6 * least:.1f}"
    )


def _terms(spec: KernelSpec, mirror: Mirror, roof: Roofline) -> tuple[float, float]:
    """Seconds that memory and arithmetic take at best."""
    moved = spec.bytes_of(mirror.case) - mirror.reread
    written = spec.written(mirror.case)
    far = roof.memory(moved * mirror.slots, moved - written, written)
    return far + roof.memory(0, mirror.reread, 0), spec.flops_of(mirror.case) / roof.flops
