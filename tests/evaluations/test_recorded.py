"""What the store holds, compared without running anything."""

from __future__ import annotations

import numpy as np
import pytest

from evaluations.recorded import confirmed_metrics
from evaluations.statistics import undecided
from evaluations.store import Store, Walk, seed_of, walk_key
from evolve.contracts import Evidence, Measurement

SETTINGS = {"seed": 3, "space_digest": "s", "task_digest": "t"}
EVIDENCE = Evidence(sandbox="none", exit_reason="", cpu_s=0.0, wall_s=0.0, peak_memory_bytes=0)


def keep(store: Store, who: str, k: int, shift: float) -> None:
    seed = seed_of(3, "confirm", k)
    users = np.arange(50, dtype=np.int64)
    metrics = {"main": users / 50 + shift, "side": users / 50 - shift}
    measured = Measurement(
        rung="full", seed=seed, split="confirm", users=users, metrics=metrics, observables={}, compute_s=0.0
    )
    walk = Walk(measurements=(measured,), fault=None, fault_rung="", evidence=EVIDENCE, compute_s=0.0)
    store.get_or_run(walk_key("s", "t", who, "confirm", ("full",), seed), lambda: walk)


@pytest.fixture
def look():
    from dataclasses import replace

    return replace(undecided("main", 0.05, "as recorded"), seeds=2)


def test_every_other_metric_is_paired_by_user_and_the_primary_one_is_as_recorded(tmp_path, look):
    store = Store(tmp_path)
    for k in range(2):
        keep(store, "new", k, 0.1 + 0.001 * k)
        keep(store, "old", k, 0.0)
    found = confirmed_metrics(tmp_path, SETTINGS, "new", "old", look)
    assert found is not None and found["main"] == look
    assert found["side"].decision == "worse" and found["side"].effect == pytest.approx(-0.1005)
    assert found["side"].users == 50 and found["side"].seeds == 2


def test_a_run_whose_measurements_are_not_all_there_has_none(tmp_path, look):
    keep(Store(tmp_path), "new", 0, 0.1)
    assert confirmed_metrics(tmp_path, SETTINGS, "new", "old", look) is None
