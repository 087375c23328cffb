"""What a worker's frames may say: claims, predictions and errors, checked byte for byte; anything else is a FrameError.

Knows frames and contracts; knows no connection and no time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Fault, FaultKind, Limits
from sandbox import frames
from sandbox.frames import FrameError
from sandbox.streams import printable

MOST_OBSERVABLES = 256


def limits_in_words(limits: Limits) -> str:
    """Limits, for a person and for the record."""
    sizes = f"{limits.memory_bytes >> 20} MiB, {limits.cpu_s} CPU s, {limits.processes} processes"
    return f"{sizes}, files of {limits.file_bytes >> 20} MiB, {limits.open_files} open"


def raised(payload: bytearray) -> Fault:
    """An error frame as a fault."""
    content = frames.unpack_json(payload)
    reason = printable(str(content.get("reason", ""))).replace("\n", " ")[:400]
    detail = printable(str(content.get("detail", "")))[-8192:]
    if content.get("memory") is True:
        return Fault(kind=FaultKind.OUT_OF_MEMORY, reason=f"out of memory: {reason}", detail=detail)
    return Fault(kind=FaultKind.RAISED, reason=f"raised {reason}", detail=detail)


def observables(payload: bytearray) -> Mapping[str, float]:
    """The claims of a training frame: at most 256 short printable names with finite numbers. Raises FrameError."""
    claims = frames.unpack_json(payload)
    if len(claims) > MOST_OBSERVABLES:
        raise FrameError(f"expected at most {MOST_OBSERVABLES} observables, found {len(claims)}")
    for name, value in claims.items():
        if not (name.isprintable() and 0 < len(name) <= 100):
            raise FrameError(f"expected a short printable name for an observable, found {ascii(name)[:100]}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise FrameError(f"expected a finite number for observable '{name}', found {ascii(value)[:40]}")
    return {name: float(cast("float", value)) for name, value in claims.items()}


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def predictions(payload: bytearray, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The one array of an answer frame: float32, finite, of exactly that shape. Raises FrameError."""
    arrays = frames.unpack_arrays(payload)
    if set(arrays) != {"answer"}:
        raise FrameError("expected one array named 'answer'")
    answer = arrays["answer"]
    if answer.shape != shape or answer.dtype != np.float32:
        raise FrameError(f"wrong shape: expected {shape} float32, found {answer.shape} {answer.dtype}")
    bad = answer.size - int(np.count_nonzero(np.isfinite(answer)))
    if bad:
        raise FrameError(f"non-finite answers: {bad} of {answer.size} are NaN or infinite")
    return answer
