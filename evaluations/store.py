"""What trained models scored, kept by content so that nothing is ever measured twice.

One file holds everything that one session measured: it is written whole or not at all. Knows nothing of
candidates but their fingerprints; reads only what this process or an earlier one of its kind wrote.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from evolve.contracts import Evidence, Fault, FaultKind, Measurement
from evolve.errors import RunError
from evolve.syntax import undisturbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What one session gave: a measurement for each rung it reached, and the fault that ended it, if one did."""

    measurements: tuple[Measurement, ...]
    fault: Fault | None
    fault_rung: str
    evidence: Evidence
    compute_s: float

    def at(self, rung: str) -> Measurement | None:
        """The measurement at a rung, or None where the session did not reach it."""
        return next((m for m in self.measurements if m.rung == rung), None)


def seed_of(run_seed: int, purpose: str, k: int) -> int:
    """The k-th training seed of a purpose (`search`, `confirm`, `final`) of a run."""
    digest = hashlib.sha256(f"{run_seed}/{purpose}/{k}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def walk_key(
    space: str, task: str, fingerprint: str, split: str, rungs: Sequence[str], seed: int, *, final: bool = False
) -> tuple[object, ...]:
    """What names a walk: digests of the space and the task, the tree, and the route."""
    return (space, task, fingerprint, split, ".".join(rungs), seed, final)


class Store:
    """Walks by key. `get_or_run` runs each key once, however many threads ask for it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def find(self, key: Sequence[object]) -> Walk | None:
        """The walk of a key, or None where it was never run."""
        path = self._path(key)
        return _load(path) if path.exists() else None

    def _path(self, key: Sequence[object]) -> Path:
        name = hashlib.sha256(json.dumps([str(part) for part in key]).encode()).hexdigest()[:40]
        return self._folder / f"{name}.npz"

    def get_or_run(self, key: Sequence[object], run: Callable[[], Walk]) -> tuple[Walk, bool]:
        """The walk of a key, and whether it had to be run now."""
        path = self._path(key)
        with self._guard:
            lock = self._locks[path.stem]
        with lock:
            if path.exists():
                return _load(path), False
            walk = run()
            _save(path, walk)
            return walk, True


def _save(path: Path, walk: Walk) -> None:
    arrays: dict[str, np.ndarray] = {}
    rungs: list[dict[str, object]] = []
    for i, m in enumerate(walk.measurements):
        arrays[f"{i}/users"] = m.users
        arrays |= {f"{i}/metric/{name}": values for name, values in m.metrics.items()}
        plain = {"rung": m.rung, "seed": m.seed, "split": m.split}
        times = {"compute_s": m.compute_s, "train_s": m.train_s}
        rungs.append({**plain, **times, "observables": dict(m.observables), "metrics": list(m.metrics)})
    fault = asdict(walk.fault) if walk.fault else None
    head = {"rungs": rungs, "fault": fault, "fault_rung": walk.fault_rung, "compute_s": walk.compute_s}
    head["evidence"] = asdict(walk.evidence)
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
    try:
        temporary.write_bytes(packed.getvalue())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(
            f"a measurement can't be written to {path.parent}: {error.strerror}",
            hint="Free disk space or mend permissions, then run the same command with --resume: nothing is lost.",
        ) from error


@undisturbed
def _load(path: Path) -> Walk:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            measurements = tuple(
                Measurement(
                    rung=rung["rung"],
                    seed=rung["seed"],
                    split=rung["split"],
                    users=arrays[f"{i}/users"],
                    metrics={name: arrays[f"{i}/metric/{name}"] for name in rung["metrics"]},
                    observables=rung["observables"],
                    compute_s=rung["compute_s"],
                    train_s=rung.get("train_s", 0.0),
                )
                for i, rung in enumerate(head["rungs"])
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(
            f"the measurement {path} is damaged ({error})",
            hint="Delete that file: it will be measured again on the next --resume.",
        ) from error
    fault = Fault(**{**head["fault"], "kind": FaultKind(head["fault"]["kind"])}) if head["fault"] else None
    return Walk(
        measurements=measurements,
        fault=fault,
        fault_rung=head["fault_rung"],
        evidence=Evidence(**head["evidence"]),
        compute_s=head["compute_s"],
    )


def compute_seconds(folder: Path) -> float:
    """How long the host waited for training and predictions, over all walks in a folder."""
    return sum(_load(path).compute_s for path in folder.glob("*.npz"))
