"""Triton: checked in its interpreter on any machine, and timed on none yet, as the judge keeps no GPU's time."""

from __future__ import annotations

from evaluations.kernels.backends.python import Python


def triton() -> Python:
    """See `Backend`."""
    reason = "Triton's interpreter tells right from wrong, never the time"
    return Python(name="triton", needs="triton", not_timed=reason)
