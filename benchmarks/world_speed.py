"""How fast the simulated production lives, beside RecSim NG in the same run; and that threads never change a report.

The world's unit is a user-day: whether a user comes is drawn for everybody; who comes is served (60 items retrieved and
scored, a slate of ten, choice, watch time, likes, and what the visit leaves behind). RecSim NG's is a user-step of its
interest evolution model: 100 documents, a slate of two. The shapes differ: ours has the larger visit, and not everybody
visits. `like-shaped reference` is no part of the product: RecSim NG's shape in plain numpy, to show what it costs.
RecSim NG is looked for in the folder that `EVOLVE_RECSIM_NG` names; `benchmarks.recsim_ng_timed` says how to fill it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.common import Result, main, progress
from benchmarks.lived import SMALL
from evaluations.platform import SimulatedPlatform
from evaluations.production import Production
from evaluations.production_truth import CHAMPION, candidates
from evaluations.production_truth import Kind as WorldKind

USERS, DAYS, LEAST = 20_000, 40, 3.0
NG_SHAPES = ((1_000, 100), (5_000, 100))


def lived(users: int, days: int) -> float:
    """User-days per CPU second of the full model, all threads counted."""
    production = Production(SMALL, users)
    production.live((CHAMPION,))
    begun = time.process_time()
    for _ in range(days):
        production.live((CHAMPION,))
    return users * days / (time.process_time() - begun)


def like_shaped(users: int, steps: int) -> float:
    """User-steps per CPU second of RecSim NG's shape in numpy: scores of 100 documents in two topics, the best two
    shown, a multinomial choice, an interest that moves towards what was chosen."""
    rng = np.random.default_rng(0)
    documents = rng.standard_normal((100, 2)).astype(np.float32)
    interest = rng.standard_normal((users, 2)).astype(np.float32)
    begun = time.process_time()
    for _ in range(steps):
        keys = interest @ documents.T + rng.gumbel(size=(users, 100)).astype(np.float32)
        slate = np.argpartition(-keys, 2, axis=1)[:, :2]
        liking = np.einsum("uk,usk->us", interest, documents[slate])
        chosen = np.argmax(liking + rng.gumbel(size=liking.shape), axis=1)
        picked = documents[slate[np.arange(users), chosen]]
        interest += 0.1 * (picked - interest)
    return users * steps / (time.process_time() - begun)


def recsim_ng(users: int, steps: int) -> dict[str, Any]:
    """What RecSim NG does in a process of its own, or why it did not."""
    folder = os.environ.get("EVOLVE_RECSIM_NG", "")
    if not folder:
        return {"error": "EVOLVE_RECSIM_NG names no folder"}
    environment = {**os.environ, "PYTHONPATH": folder, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [sys._base_executable, "benchmarks/recsim_ng_timed.py", str(users), str(steps)]  # type: ignore[attr-defined]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if ended.returncode:
        return {"error": ended.stderr.strip().splitlines()[-1]}
    return json.loads(ended.stdout.strip().splitlines()[-1])


def reports_digest(threads: int, users: int) -> str:
    """sha256 of all that a platform reports in 20 days of one experiment, in a process with so many threads."""
    code = f"from benchmarks.world_speed import told; print(told({users}))"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **{name: str(threads) for name in names}}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return ended.stdout.strip()


def told(users: int) -> str:
    challenger = candidates(WorldKind.ALIGNED, 1, 0)[0]
    platform = SimulatedPlatform(Production(SMALL, users), {"champion": CHAMPION, "other": challenger}, "champion")
    platform.launch("e", {"champion": 0.5, "other": 0.5}, 1.0)
    said = repr([platform.observe(day) for day in range(20)])
    return hashlib.sha256(said.encode()).hexdigest()


def measure(quick: bool) -> Result:
    """All speeds in one run."""
    users, days = (2_000, 5) if quick else (USERS, DAYS)
    ours = [lived(users, days) for _ in range(1 if quick else 3)]
    shape = like_shaped(1_000, 5 if quick else 100)
    rivals = {f"{u} users": recsim_ng(u, s) for u, s in (NG_SHAPES[:1] if quick else NG_SHAPES)}
    same = reports_digest(1, 1_000) == reports_digest(2, 1_000)
    speeds = [row["user_steps_per_cpu_s"] for row in rivals.values() if "error" not in row]
    progress(f"ours {ours}, like-shaped {shape:.0f}, RecSim NG {rivals}, same bytes {same}")
    times = float(np.median(ours)) / max(speeds) if speeds else 0.0
    return Result(
        figure=round(times, 3),
        unit="user-days per CPU second of the full model over RecSim NG's fastest user-steps per CPU second",
        interval=(round(min(ours) / max(speeds), 3), round(max(ours) / max(speeds), 3)) if speeds else None,
        goal=f"at least {LEAST} x RecSim NG on a like-shaped model; the same bytes with one and two threads",
        holds=times >= LEAST and same,
        details={
            "user-days per CPU second": [round(x) for x in ours], "RecSim NG": rivals,
            "like-shaped reference (numpy), user-steps per CPU second": round(shape),
            "same bytes with one and two threads": same,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main("world_speed", measure, __doc__ or "")
