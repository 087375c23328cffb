"""How fast this machine can be at best: bytes a second from each level of memory, and operations a second.

A small C++ program of ours measures both, with as many threads as kernels get, once a process. Knows no kernel.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from evolve.errors import SetupError

SOURCE = Path(__file__).with_name("roofline.cpp")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-ffast-math", "-shared", "-fPIC")
SIZES = (16 << 10, 256 << 10, 1 << 20, 8 << 20, 64 << 20, 256 << 20)
TRIES = 5
SLACK = 1.25
"""A kernel may be this much faster than the roofline before it is called a cheat: ours measures plain loops."""
LATENCY_SHARE = 0.2
"""Below this share of the roofline neither memory nor arithmetic is what holds a kernel back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Bytes a second by the size of what is read again and again, and operations a second."""

    bandwidth: Mapping[int, float]
    flops: float

    def bandwidth_at(self, size: float) -> float:
        """The best for a working set of `size` bytes: that of the smallest measured set which is not smaller."""
        return next((rate for known, rate in self.bandwidth.items() if known >= size), min(self.bandwidth.values()))

    def terms(self, size: float, moved: float, operations: float) -> tuple[float, float]:
        """Seconds that moving `moved` bytes and doing `operations` take at best, in a working set of `size` bytes."""
        return moved / self.bandwidth_at(size), operations / self.flops


@lru_cache(maxsize=4)
def measured(threads: int) -> Roofline:
    """This machine's. Raises SetupError where there is no compiler."""
    compiler = shutil.which("g++", path="/usr/bin")
    if compiler is None:
        raise SetupError("expected g++ to measure this machine's roofline, found none", hint="apt-get install g++")
    with tempfile.TemporaryDirectory(prefix="evolve-roofline.") as folder:
        built = Path(folder) / "roofline.so"
        subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(built)], check=True, capture_output=True)
        library = ctypes.CDLL(str(built))
    library.bandwidth.restype = library.flops.restype = ctypes.c_double
    rates = {size: library.bandwidth(ctypes.c_int64(size), threads, TRIES) for size in SIZES}
    return Roofline(bandwidth=_falling(rates), flops=library.flops(threads, TRIES))


def _falling(rates: Mapping[int, float]) -> dict[int, float]:
    """A smaller set is never slower: what was seen slower was disturbed."""
    best, fallen = 0.0, dict[int, float]()
    for size in sorted(rates, reverse=True):
        best = max(best, rates[size])
        fallen[size] = best
    return dict(sorted(fallen.items()))
