"""Secrets planted where a candidate must not look: seeing one in any output proves that it did.

One in the orchestrator's environment, one in a file beside the judge's, and one as the bytes of an array of labels.
Knows nothing of candidates; a session looks for them (see `contracts.Job.canaries`).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import numpy as np

VARIABLE = "EVOLVE_CANARY"
LABELS = 16


def plant(folder: Path) -> tuple[bytes, ...]:
    """Plants three fresh secrets, two of them in a folder, and returns what to look for."""
    in_environment, in_file = (f"canary-{secrets.token_hex(16)}" for _ in range(2))
    labels = np.frombuffer(secrets.token_bytes(4 * LABELS), np.uint32).astype(np.float32) / 2**32
    os.environ[VARIABLE] = in_environment
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text(in_file, encoding="ascii")
    np.save(folder / "labels.npy", labels)
    return in_environment.encode(), in_file.encode(), labels.tobytes()
