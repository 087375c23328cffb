"""How fast this machine can be at best: bytes a second from each level of memory, and operations a second.

A small C++ program of ours measures both, with as many threads as kernels get, once a process. Knows no kernel.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolve.errors import SetupError

SOURCE = Path(__file__).with_name("roofline.cpp")
_REORDER = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-ffinite-math-only", "-fno-math-errno")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", *_REORDER, "-shared", "-fPIC")
"""Not -ffast-math: it links what makes the whole process, the judge's, take the smallest numbers for zero."""
SIZES = tuple(size << 10 for size in (16, 32, 128, 512, 1024, 2048, 4096, 8192, 32768, 131072))
TRIES = 5
SLACK = 1.25
"""A kernel may be this much faster than the roofline before it is called a cheat: ours measures plain loops."""
LATENCY_SHARE = 0.2
"""Below this share of the roofline neither memory nor arithmetic is what holds a kernel back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Bytes a second by the size of what is read again and again, and operations a second."""

    bandwidth: dict[int, float]
    flops: float

    def bandwidth_at(self, size: float) -> float:
        """The best for a working set of `size` bytes: that of the largest measured set which is not larger."""
        return next((rate for known, rate in reversed(self.bandwidth.items()) if known <= size), max(self.rates))

    @property
    def rates(self) -> tuple[float, ...]:
        """All bandwidths."""
        return tuple(self.bandwidth.values())

    def terms(self, size: float, moved: float, operations: float) -> tuple[float, float]:
        """Seconds that moving `moved` bytes and doing `operations` take at best, in a working set of `size` bytes."""
        return moved / self.bandwidth_at(size), operations / self.flops


def measured(threads: int) -> Roofline:
    """This machine's, measured once a process. Raises SetupError where there is no compiler."""
    with _guard:
        if threads not in _known:
            _known[threads] = _measure(threads)
        return _known[threads]


def measured_again(threads: int) -> Roofline:
    """The best of what was measured before and of what is measured now: a busy machine hides how fast it can be."""
    old, new = measured(threads), _measure(threads)
    rates = {size: max(rate, new.bandwidth[size]) for size, rate in old.bandwidth.items()}
    with _guard:
        _known[threads] = Roofline(bandwidth=rates, flops=max(old.flops, new.flops))
        return _known[threads]


_known: dict[int, Roofline] = {}
_guard = threading.Lock()


def _measure(threads: int) -> Roofline:
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
