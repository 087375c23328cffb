"""How fast this machine can be at best: bytes a second to and from each level of memory, and operations a second.

Writing is not reading: a store into a cache line that is not at hand first reads the line, and a store past the caches
goes to far memory. So bandwidth is measured for passes that only read, read more than they write, copy, and only write;
of stores both kinds, whichever is faster.

A small C++ program of ours measures both, with as many threads as kernels get, once a process. Knows no kernel.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evolve.errors import SetupError

SOURCE = Path(__file__).with_name("roofline.cpp")
_REORDER = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-ffinite-math-only", "-fno-math-errno")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", *_REORDER, "-shared", "-fPIC")
"""Not -ffast-math: it links what makes the whole process, the judge's, take the smallest numbers for zero."""
SIZES = tuple(half << power for power in range(13, 27) for half in (2, 3))
MIXES = ((1, 0), (3, 1), (1, 1), (0, 1))
"""Passes that are measured: parts that are read, and parts that are written."""
SHARES = tuple(writes / (reads + writes) for reads, writes in MIXES)
TRIES = 5
SLACK = 1.25
"""A kernel may be this much faster than the roofline before it is called a cheat: ours measures plain loops."""
LATENCY_SHARE = 0.2
"""Below this share of the roofline neither memory nor arithmetic is what holds a kernel back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Bytes a second by the size of what is read and written again and again, for each of `MIXES`; and operations a
    second."""

    bandwidth: dict[int, tuple[float, ...]]
    flops: float

    def memory(self, size: float, read: float, written: float) -> float:
        """Seconds that reading and writing so many bytes takes at best in a working set of `size` bytes: at the rates
        of the largest measured set which is not larger, between those of the two mixes that are next to this one."""
        moved = read + written
        rates = next((rates for known, rates in reversed(self.bandwidth.items()) if known <= size), self.nearest)
        return moved * float(np.interp(written / moved, SHARES, [1 / rate for rate in rates])) if moved else 0.0

    @property
    def nearest(self) -> tuple[float, ...]:
        """Of the nearest cache."""
        return next(iter(self.bandwidth.values()))


def measured(threads: int) -> Roofline:
    """This machine's, measured once a process. Raises SetupError where there is no compiler."""
    with _guard:
        if threads not in _known:
            _known[threads] = _measure(threads)
        return _known[threads]


def measured_again(threads: int) -> Roofline:
    """The best of what was measured before and of what is measured now: a busy machine hides how fast it can be."""
    old, new = measured(threads), _measure(threads)
    rates = {size: _better(rates, new.bandwidth[size]) for size, rates in old.bandwidth.items()}
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
    rates = {
        size: tuple(library.bandwidth(ctypes.c_int64(size), *mix, threads, TRIES) for mix in MIXES) for size in SIZES
    }
    return Roofline(bandwidth=_falling(rates), flops=library.flops(threads, TRIES))


def _falling(rates: Mapping[int, tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
    """A smaller set is never slower: what was seen slower was disturbed."""
    best, fallen = (0.0,) * len(MIXES), dict[int, tuple[float, ...]]()
    for size in sorted(rates, reverse=True):
        best = _better(best, rates[size])
        fallen[size] = best
    return dict(sorted(fallen.items()))


def _better(some: Sequence[float], others: Sequence[float]) -> tuple[float, ...]:
    return tuple(max(pair) for pair in zip(some, others, strict=True))
