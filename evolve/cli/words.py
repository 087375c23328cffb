"""Commands as people type them, for hints and next steps."""

from __future__ import annotations

import shlex
from pathlib import Path

from evolve.config import KERNEL_PREFIX

RUNS = Path("runs")
"""Where run folders are when nobody says otherwise."""


def command(words: str, runs: Path = RUNS) -> str:
    """`evolve WORDS`, with --out where run folders are not in their usual place."""
    return f"evolve {words}" + (f" --out {shlex.quote(str(runs))}" if runs != RUNS else "")


def is_kernel(space: str) -> bool:
    """Whether the space is an operator: its candidates are timed, and nobody uses them."""
    return space.startswith(KERNEL_PREFIX)
